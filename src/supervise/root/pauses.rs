//! Which lanes are paused, those that are assigned later too.

use super::commands::Selection;
use crate::model::offset::TopicPartition;

/// What was commanded, in its order: of all that concern a lane the last counts.
#[derive(Debug, Default)]
pub(super) struct Pauses(Vec<(Selection, bool)>);

impl Pauses {
    /// Takes a command to pause or to resume.
    pub(super) fn command(&mut self, selection: &Selection, is_paused: bool) {
        // What concerns none but lanes of this one counts no more, so that there is one entry for a selection at most.
        self.0.retain(|(earlier, _)| !selection.covers(earlier));
        // Lanes run unless they are told otherwise.
        if is_paused || !self.0.is_empty() {
            self.0.push((selection.clone(), is_paused));
        }
    }

    /// Whether the lane of `source` is paused.
    pub(super) fn holds(&self, source: &TopicPartition) -> bool {
        self.0.iter().rev().find(|(selection, _)| selection.takes(source)).is_some_and(|(_, is_paused)| *is_paused)
    }
}

impl Selection {
    /// Whether every lane of `other` is one of this selection.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Topic(topic), Self::Topic(other)) => topic == other,
            (Self::Topic(topic), Self::One(one)) => *topic == *one.topic,
            (Self::One(one), Self::One(other)) => one == other,
            (Self::Topic(_) | Self::One(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_commands_for_a_lane_the_last_counts() {
        let lane = |topic: &str, partition| TopicPartition::new(topic, partition);
        let all = [lane("a", 0), lane("a", 1), lane("b", 0)];
        let (topic, one) = (|name: &str| Selection::Topic(name.to_owned()), |source| Selection::One(source));
        let mut pauses = Pauses::default();
        let mut tell = |selection: Selection, is_paused| {
            pauses.command(&selection, is_paused);
            (all.each_ref().map(|source| pauses.holds(source)), pauses.0.len())
        };
        assert_eq!(tell(Selection::All, true), ([true, true, true], 1));
        assert_eq!(tell(one(lane("a", 1)), false), ([true, false, true], 2));
        assert_eq!(tell(topic("a"), true), ([true, true, true], 2));
        assert_eq!(tell(topic("b"), false), ([true, true, false], 3));
        assert_eq!(tell(topic("b"), true), ([true, true, true], 3));
        assert_eq!(tell(one(lane("b", 0)), false), ([true, true, false], 4));
        assert_eq!(tell(Selection::All, false), ([false, false, false], 0));
        assert_eq!(tell(one(lane("a", 0)), false), ([false, false, false], 0));
        assert_eq!(tell(one(lane("a", 0)), true), ([true, false, false], 1));
    }
}
