//! Why tests failed, out of what `cargo test` printed: so much of it that the end of a long log is enough to begin with.

/// So many lines of a test are repeated, of one panic and of all its panics.
const LINES: (usize, usize) = (12, 40);

/// So many tests are repeated.
const TESTS: usize = 8;

/// The names of failed tests, each followed by what their panics said, indented; empty if no test says that it failed.
pub(crate) fn digest(output: &str) -> String {
    let mut tests: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut of_panic = 0;
    for line in output.lines() {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            tests.push((name, Vec::new()));
            of_panic = 0;
        } else if line.starts_with("test result: ") {
            of_panic = 0;
        } else if line.starts_with("thread '") && line.contains(" panicked at ") {
            of_panic = LINES.0;
        } else if ["stack backtrace:", "note: run with"].iter().any(|end| line.to_lowercase().starts_with(end)) {
            of_panic = 0;
        }
        if let Some((_, told)) = tests.last_mut().filter(|(_, told)| of_panic > 0 && told.len() < LINES.1) {
            of_panic -= 1;
            if !line.trim().is_empty() {
                told.push(line);
            }
        }
    }
    let more = tests.len().saturating_sub(TESTS);
    let told = tests.iter().take(TESTS).flat_map(|(name, told)| {
        std::iter::once((*name).to_owned()).chain(told.iter().map(|line| format!("    {line}")))
    });
    told.chain((more > 0).then(|| format!("and {more} more"))).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn a_failed_test_is_told_by_its_name_and_its_panics_without_what_it_printed_else() {
        let output = "test a::good ... ok\ntest a::bad ... FAILED\n\nfailures:\n\n---- a::bad stdout ----\nheld this\n\n\
                      thread 'main' (7) panicked at tests/a.rs:3:5:\nleft: 1\n\nright: 2\nStack backtrace:\n   0: core\n\
                      held that\n\nfailures:\n    a::bad\n\ntest result: FAILED. 1 passed; 1 failed\n";
        let told = "a::bad\n    thread 'main' (7) panicked at tests/a.rs:3:5:\n    left: 1\n    right: 2\n";
        assert_eq!(digest(output), told);
        assert_eq!(digest("test a::good ... ok\n\ntest result: ok. 1 passed\n"), "");
    }

    #[test]
    fn many_and_long_failures_are_cut() {
        let panic = |n: usize| format!("thread 'main' panicked at a.rs:{n}:1:\n{}", "word\n".repeat(100));
        let test = |n: usize| format!("---- t{n} stdout ----\n{}", (0..50).map(panic).collect::<String>());
        let told = digest(&(0..20).map(test).collect::<String>());
        assert_eq!(told.lines().count(), super::TESTS * (1 + super::LINES.1) + 1);
        assert!(told.ends_with("and 12 more\n"));
    }
}
