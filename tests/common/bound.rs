//! Bounds this test program.

use ringway_bound as _;
