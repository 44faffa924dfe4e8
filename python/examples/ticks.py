"""The typed messages of a Rust program, without its types: examples/ticks_producer.rs.

cargo run --example ticks_producer &
python ticks.py [QUEUE]
"""

import sys

import ringway


def main():
    ring = ringway.Ring.open(sys.argv[1] if len(sys.argv) > 1 else "ticks")
    print(ring.schema)
    for count, frame in enumerate(ring):
        with frame:
            tick = frame.decode()  # a dict of the fields
            if count < 3:
                print(tick)


if __name__ == "__main__":
    main()
