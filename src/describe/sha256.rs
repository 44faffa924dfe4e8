//! SHA-256 (FIPS 180-4). A fingerprint needs no cryptography: whole descriptions are compared, not
//! their hashes. But 32 bytes that every other tool can compute (`ringway schema FILE | sha256sum`)
//! are worth these few lines; they are not worth a dependency.

const BLOCK: usize = 64;

/// The first 32 bits of the fractional parts of the square roots of the first eight primes, and of
/// the cube roots of the first 64: they are computed, so that no digit can be wrong unnoticed.
const START: [u32; 8] = roots::<8>(2);
const ROUNDS: [u32; 64] = roots::<64>(3);

const fn roots<const N: usize>(degree: u32) -> [u32; N] {
    let mut found = [0; N];
    let (mut prime, mut i) = (2, 0);
    while i < N {
        found[i] = root(prime, degree) as u32;
        i += 1;
        prime = next_prime(prime);
    }
    found
}

const fn next_prime(after: u128) -> u128 {
    let mut candidate = after + 1;
    let mut divisor = 2;
    while divisor * divisor <= candidate {
        if candidate.is_multiple_of(divisor) {
            candidate += 1;
            divisor = 2;
        } else {
            divisor += 1;
        }
    }
    candidate
}

/// The root of `number`, times 2^32, rounded down: its lowest 32 bits are the first ones after the
/// binary point.
const fn root(number: u128, degree: u32) -> u128 {
    let target = number << (32 * degree);
    let (mut low, mut high) = (0, 1 << 37);
    while high - low > 1 {
        let middle: u128 = (low + high) / 2;
        if middle.pow(degree) <= target {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The hash of `message`.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut state = START;
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    blocks.iter().for_each(|block| compress(&mut state, block));
    // A one bit, zeros, and the length in bits, in one or two blocks.
    let mut last = [0; 2 * BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    let end = if rest.len() < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
    last[end - 8..end].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    last[..end].as_chunks::<BLOCK>().0.iter().for_each(|block| compress(&mut state, block));
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

fn compress(state: &mut [u32; 8], block: &[u8; BLOCK]) {
    let mut schedule = [0_u32; 64];
    for (word, bytes) in schedule.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for i in 16..64 {
        let (a, b) = (schedule[i - 15], schedule[i - 2]);
        let a = a.rotate_right(7) ^ a.rotate_right(18) ^ a >> 3;
        let b = b.rotate_right(17) ^ b.rotate_right(19) ^ b >> 10;
        schedule[i] = schedule[i - 16].wrapping_add(a).wrapping_add(schedule[i - 7]).wrapping_add(b);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (word, constant) in schedule.iter().zip(ROUNDS) {
        let sum = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = e & f ^ !e & g;
        let one = h.wrapping_add(sum).wrapping_add(choice).wrapping_add(constant).wrapping_add(*word);
        let sum = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = a & b ^ a & c ^ b & c;
        let two = sum.wrapping_add(majority);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(one), c, b, a, one.wrapping_add(two));
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: [u8; 32]) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_vectors_of_the_standard() {
        for (message, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ] {
            assert_eq!(hex(sha256(message.as_bytes())), expected);
        }
        assert_eq!(
            hex(sha256(&[b'a'; 1_000_000])),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
    }

    /// The compiler computes the constants; these are the first and the last ones in the standard.
    #[test]
    fn the_constants_are_those_of_the_standard() {
        let degrees = [2, 3].map(std::hint::black_box);
        assert_eq!(roots::<8>(degrees[0]), START);
        assert_eq!(roots::<64>(degrees[1]), ROUNDS);
        assert_eq!([START[0], START[7]], [0x6a09_e667, 0x5be0_cd19]);
        assert_eq!([ROUNDS[0], ROUNDS[63]], [0x428a_2f98, 0xc671_78f2]);
    }

    #[test]
    fn every_length_around_a_block_has_its_own_padding() {
        let hashes: std::collections::HashSet<_> = (0..=130).map(|len| sha256(&vec![0; len])).collect();
        assert_eq!(hashes.len(), 131);
    }
}
