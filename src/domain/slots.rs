//! The two names an account may use in Harbor: `<name>` and `<name>.b`.

/// The suffix of the second name. No account's own name may end in it.
pub const SECOND_SUFFIX: &str = ".b";

/// One of the two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// `<name>`.
    A,
    /// `<name>.b`.
    B,
}

impl Slot {
    /// Both, in order of preference.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// 0 or 1.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The short robot name of this slot.
    pub fn name(self, base: &str) -> String {
        match self {
            Self::A => base.to_owned(),
            Self::B => format!("{base}{SECOND_SUFFIX}"),
        }
    }

    /// Which slot a robot name of ours (full or short) is in.
    pub fn of(name: &str) -> Self {
        if name.ends_with(SECOND_SUFFIX) { Self::B } else { Self::A }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_read_back_from_its_name_under_any_prefix() {
        for slot in Slot::BOTH {
            assert_eq!(Slot::of(&slot.name("ci")), slot);
            assert_eq!(Slot::of(&format!("robot$team-a+{}", slot.name("ci"))), slot);
            assert_eq!(slot.other().other(), slot);
        }
    }
}
