//! Human-readable numbers and times, printed and parsed.

use std::time::{Duration, SystemTime};

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// `1.5 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut scaled = count as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{scaled:.1} {}", UNITS[unit]),
    }
}

/// `1,234,567`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 message`, `2 messages`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `1.23 M`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 1e9 => format!("{:.2} G", rate / 1e9),
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.2} k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}

/// `3m 12s`; below a second in milliseconds.
pub(crate) fn duration(duration: Duration) -> String {
    let whole = match duration {
        short if short < Duration::from_secs(1) => Duration::from_millis(short.as_millis() as u64),
        long => Duration::from_secs(long.as_secs()),
    };
    humantime::format_duration(whole).to_string()
}

/// `2026-11-22T23:10:00Z`; a time beyond the calendar is printed as a number.
pub(crate) fn time(time: SystemTime) -> String {
    // The formatter panics beyond the year 9999, and a file may contain any value.
    let most = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    match time {
        time if time < most => humantime::format_rfc3339_seconds(time).to_string(),
        _ => "(no possible time)".into(),
    }
}

/// `3m 12s ago`.
pub(crate) fn ago(time: SystemTime, now: SystemTime) -> String {
    match now.duration_since(time) {
        Ok(passed) => format!("{} ago", duration(passed)),
        Err(_) => "in the future".into(),
    }
}

pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// A uuid in its usual notation.
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let hex = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parses a number of bytes: `4096`, `64K`, `1MiB`, `2 GB`. All units are powers of 1,024.
pub(crate) fn parse_bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim().to_ascii_lowercase());
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("`{unit}` is no unit; use K, M, G or T (powers of 1,024)")),
    };
    let number: usize =
        number.parse().map_err(|_| String::from("expected a number of bytes, such as 4096, 64K or 1MiB"))?;
    number.checked_mul(1 << shift).ok_or_else(|| String::from("that is more than can be counted"))
}

/// The maximum time span: a thousand years, which can be added to any time of a clock.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86400);

/// Parses a time span: `5`, `0.5`, `100ms`, `1h 30m`. A longer one than a thousand years becomes a
/// thousand years.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = match text.trim().parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds > LONGEST.as_secs_f64() => LONGEST,
        Ok(seconds) => Duration::try_from_secs_f64(seconds)
            .map_err(|_| String::from("expected a time span of 0 or more seconds"))?,
        Err(_) => humantime::parse_duration(text.trim())
            .map_err(|_| String::from("expected a time span, such as 5, 0.5, 100ms or `1h 30m`"))?,
    };
    Ok(duration.min(LONGEST))
}

/// The hex dump of a message, 16 bytes per line.
pub(crate) fn hex_dump(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(16).enumerate().map(|(line, bytes)| {
        let mut text = format!("{:08x}  ", line * 16);
        for at in 0..16 {
            text += &bytes.get(at).map_or("   ".into(), |byte| format!("{byte:02x} "));
            if at == 7 {
                text.push(' ');
            }
        }
        text.push_str(" |");
        text.extend(bytes.iter().map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        }));
        text.push('|');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1 << 20), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "message"), "1 message");
        assert_eq!(rate(2_345_678.0), "2.35 M");
        assert_eq!(duration(Duration::from_millis(1500)), "1s");
    }

    #[test]
    fn what_people_give_is_understood_or_refused() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("64K"), Ok(65536));
        assert_eq!(parse_bytes("1 MiB"), Ok(1 << 20));
        for wrong in ["", "K", "1x", "-1", "99999999999G", "1.5M"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        for long in ["1e19", "1e300", "9223372036854775807", "1000000y"] {
            assert_eq!(parse_duration(long), Ok(LONGEST), "{long:?}");
        }
        for wrong in ["", "soon", "-1", "nan", "inf", "99999999999999999999y"] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn any_time_in_a_file_can_be_printed() {
        assert_eq!(time(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
        for ns in [1, u64::MAX / 2, u64::MAX] {
            assert!(!time(SystemTime::UNIX_EPOCH + Duration::from_nanos(ns)).is_empty());
        }
    }

    #[test]
    fn dumps_show_bytes_and_text() {
        let lines: Vec<_> = hex_dump(b"hello world, hello\n").collect();
        assert_eq!(
            lines[0],
            "00000000  68 65 6c 6c 6f 20 77 6f  72 6c 64 2c 20 68 65 6c  |hello world, hel|"
        );
        assert!(lines[1].starts_with("00000010  6c 6f 0a ") && lines[1].ends_with("|lo.|"));
    }
}
