//! The command line after `cargo bench --bench NAME --`.

/// The options and words of the command line.
pub(crate) struct Arguments {
    /// `--quick`: only the comparisons that the report shows, in fewer rounds, without criterion.
    pub(crate) quick: bool,
    /// `--record FILE` or `--json FILE`: append records to this file, too, and leave criterion out.
    pub(crate) record: Option<String>,
    /// `--machine TEXT`: facts about the machine that the system does not state, for the records.
    pub(crate) machine: Option<String>,
    /// The other words: `ratios`, which may be followed by names that narrow it, or filters of
    /// criterion.
    pub(crate) words: Vec<String>,
}

impl Arguments {
    /// Reads the command line of this process.
    pub(crate) fn new() -> Self {
        let mut arguments = Self { quick: false, record: None, machine: None, words: Vec::new() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => arguments.quick = true,
                "--record" | "--json" => arguments.record = Some(words.next().expect("a file's name after the option")),
                "--machine" => arguments.machine = Some(words.next().expect("--machine needs a description")),
                // Cargo adds `--bench`; the other options are criterion's.
                option if option.starts_with('-') => (),
                _ => arguments.words.push(word),
            }
        }
        arguments
    }

    /// Whether to run the comparisons: always, except when a filter of criterion is given.
    pub(crate) fn should_compare(&self) -> bool {
        self.only_compare() || self.words.is_empty()
    }

    /// Whether to run the comparisons only, without criterion's benches.
    pub(crate) fn only_compare(&self) -> bool {
        let quick = self.quick && self.words.is_empty();
        quick || self.record.is_some() || self.words.first().is_some_and(|word| word == "ratios")
    }

    /// Whether the words after `ratios` ask for `name`: they name it, or none of `alternatives`.
    pub(crate) fn wants(&self, name: &str, alternatives: &[&str]) -> bool {
        let mut named = self.words.iter().filter(|word| alternatives.contains(&word.as_str())).peekable();
        named.peek().is_none() || named.any(|word| word == name)
    }
}
