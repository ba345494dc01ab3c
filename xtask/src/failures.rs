//! Why tests failed, out of what `cargo test` printed: so much of it that the end of a long log is enough to begin with.

/// So many lines of a test are repeated, of one panic and of all its panics.
const LINES: (usize, usize) = (12, 40);

/// So many tests are repeated.
const TESTS: usize = 8;

/// Of a run that failed without a failed test, so many of the last lines are repeated.
const LAST: usize = 20;

/// What is to be read first of a run that failed: its failed tests, or its last lines if none says that it failed.
pub(crate) fn told(output: &str) -> String {
    let tests = digest(output);
    if !tests.is_empty() {
        return tests;
    }
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(LAST)..].join("\n") + "\n"
}

/// The names of failed tests, each followed by what their panics said, indented; empty if no test says that it failed.
fn digest(output: &str) -> String {
    let mut tests: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut of_panic = 0;
    for line in output.lines() {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            tests.push((name, Vec::new()));
            // Of one that fails without a panic, what it says.
            of_panic = LINES.0;
        } else if line.starts_with("test result: ") {
            of_panic = 0;
        } else if is_panic(line) {
            if let Some((_, told)) = tests.last_mut().filter(|(_, told)| !told.iter().any(|line| is_panic(line))) {
                told.clear();
            }
            of_panic = LINES.0;
        } else if ["stack backtrace:", "note: run with"].iter().any(|end| line.to_lowercase().starts_with(end)) {
            of_panic = 0;
        }
        let is_heading = line.starts_with("---- ") && line.ends_with(" ----");
        let told = tests.last_mut().filter(|(_, told)| of_panic > 0 && told.len() < LINES.1 && !is_heading);
        if let Some((_, told)) = told.filter(|_| !line.trim().is_empty()) {
            of_panic -= 1;
            told.push(line);
        }
    }
    let more = tests.len().saturating_sub(TESTS);
    let told = tests.iter().take(TESTS).flat_map(|(name, told)| {
        std::iter::once((*name).to_owned()).chain(told.iter().map(|line| format!("    {line}")))
    });
    told.chain((more > 0).then(|| format!("and {more} more"))).map(|line| line + "\n").collect()
}

fn is_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

#[cfg(test)]
mod tests {
    use super::{digest, told};

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
    fn what_fails_without_a_panic_is_told_by_what_it_says() {
        let output = "---- a::bad stdout ----\nError: no such file\n\nfailures:\n    a::bad\n\ntest result: FAILED.\n";
        assert!(digest(output).starts_with("a::bad\n    Error: no such file\n"), "{}", digest(output));
        let lines = "Compiling\n".repeat(30) + "error: could not compile\n";
        assert_eq!(told(&lines).lines().count(), super::LAST);
        assert!(told(&lines).ends_with("error: could not compile\n"));
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
