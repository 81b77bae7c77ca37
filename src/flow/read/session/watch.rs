//! The thread that looks whether every Kafka partition has an owner: the questions block, so it is not the poll thread.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use super::coverage::{GroupMember, Vigil};
use super::recipe::Recipe;
use super::{Command, SessionEvent};
use crate::fault::Fault;
use crate::flow::read::context::KafkaConsumer;
use crate::flow::read::link::Link;
use crate::flow::read::{faults, native};
use crate::model::offset::TopicPartition;
use crate::observe::events;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Kafka's word for a group that is not in a rebalance.
const STABLE: &str = "Stable";

pub(super) struct Watch {
    link: Arc<Link>,
    recipe: Arc<Recipe>,
    commands: Sender<Command>,
    vigil: Vigil,
    /// What was told last.
    told: Vec<TopicPartition>,
    /// Closed when the thread ends.
    _running: Sender<()>,
}

impl Watch {
    pub(super) fn new(link: Arc<Link>, recipe: Arc<Recipe>, commands: Sender<Command>, running: Sender<()>) -> Self {
        let vigil = Vigil::new(recipe.session_timeout());
        Self { link, recipe, commands, vigil, told: Vec::new(), _running: running }
    }

    /// Looks twice in a session timeout, until `stop` is closed.
    pub(super) fn run(mut self, stop: &Receiver<()>) {
        let period = self.recipe.session_timeout() / 2;
        while stop.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
            self.look();
        }
    }

    fn look(&mut self) {
        let survey = match survey(&self.link.consumer(), self.recipe.group()) {
            Ok(Some(survey)) => survey,
            Ok(None) => return self.vigil.forget(),
            Err(error) => {
                // A cluster that does not answer is told of elsewhere; one that cannot answer this is not looked at.
                events::left_undone("kafka.group-unseen", &self.recipe.group(), &faults::from_error(&error));
                return self.vigil.forget();
            }
        };
        let sight = self.vigil.look(Instant::now(), &survey.me, &survey.members, &survey.all);
        if sight.is_ours_to_mend {
            let names: Vec<String> = sight.unowned.iter().map(ToString::to_string).collect();
            let fault = Fault::retry(
                faults::UNOWNED,
                format!(
                    "no member of group {} has owned {} for {} s, and nobody reads them; this daemon leaves the group and \
                     joins it again, so that they are given out anew; if this comes back, restart the daemons of the group",
                    self.recipe.group(),
                    names.join(", "),
                    sight.lasted.as_secs()
                ),
            );
            let _ended = self.commands.send(Command::JoinAgain(fault));
        }
        if sight.unowned != self.told {
            self.told.clone_from(&sight.unowned);
            self.recipe.tell(SessionEvent::Unowned(sight.unowned));
        }
    }
}

/// A group that is stable.
struct Survey {
    me: String,
    members: Vec<GroupMember>,
    all: BTreeSet<TopicPartition>,
}

/// None when the group is in a rebalance, is not of the protocol that we know, or does not know us.
fn survey(consumer: &KafkaConsumer, group: &str) -> Result<Option<Survey>, KafkaError> {
    let groups = consumer.fetch_group_list(Some(group), TIMEOUT)?;
    let Some(found) = groups.groups().iter().find(|found| found.name() == group && found.state() == STABLE) else {
        return Ok(None);
    };
    let read = found.members().iter().map(|member| {
        let (subscription, assignment) =
            (member.metadata().unwrap_or_default(), member.assignment().unwrap_or_default());
        GroupMember::read(member.id(), subscription, assignment)
    });
    let (Some(members), Some(me)) = (read.collect::<Option<Vec<_>>>(), native::member_id(consumer)) else {
        return Ok(None);
    };
    if members.iter().all(|member| member.id != me) {
        return Ok(None);
    }
    let topics: BTreeSet<&str> = members.iter().flat_map(|member| member.topics.iter().map(String::as_str)).collect();
    // One topic is asked for by its name; for more one question will do.
    let only = topics.first().copied().filter(|_| topics.len() == 1);
    let metadata = consumer.fetch_metadata(only, TIMEOUT)?;
    let known = metadata.topics().iter().filter(|topic| topic.error().is_none() && topics.contains(topic.name()));
    let all = known.flat_map(|topic| {
        let name: Arc<str> = topic.name().into();
        topic.partitions().iter().map(move |known| TopicPartition { topic: Arc::clone(&name), partition: known.id() })
    });
    Ok(Some(Survey { me, all: all.collect(), members }))
}
