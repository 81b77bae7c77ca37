//! The newest messages of a topic, for whoever wants examples: no group is joined and nothing is committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::broker::Broker;
use super::context::{Context, KafkaConsumer};
use super::faults;
use super::settings::Settings;
use crate::fault::Fault;
use crate::model::offset::TopicPartition;

/// How long the cluster may give nothing before that is taken for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// Hands the newest `count` messages of a topic to `take`, from each Kafka partition about as many as from the others:
/// partition, offset and payload, of which a tombstone has none. One is held at a time, beside the client's queue.
///
/// # Errors
///
/// There is no such topic, or the cluster does not answer.
pub fn newest(
    settings: &Settings,
    topic: &str,
    count: u64,
    mut take: impl FnMut(&TopicPartition, i64, Option<&[u8]>),
) -> Result<(), Fault> {
    let broker = Broker::connect(settings)?;
    let mut waiting = ranges(&broker, topic, count)?;
    let consumer = consumer(settings)?;
    let doing = || format!("reading examples from {topic}");
    let mut list = TopicPartitionList::new();
    for (partition, (from, _)) in &waiting {
        let added = list.add_partition_offset(topic, *partition, Offset::Offset(*from));
        added.map_err(|error| faults::from_error(&error).while_doing(doing()))?;
    }
    if waiting.is_empty() {
        return Ok(());
    }
    consumer.assign(&list).map_err(|error| faults::from_error(&error).while_doing(doing()))?;
    let mut heard = Instant::now();
    while !waiting.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let Some((_, end)) = waiting.get(&message.partition()).copied() else { continue };
                if message.offset() < end {
                    let partition = TopicPartition::new(topic, message.partition());
                    take(&partition, message.offset(), message.payload());
                }
                if message.offset() + 1 >= end {
                    waiting.remove(&message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                heard = Instant::now();
                waiting.remove(&partition);
            }
            // What passes the client gets over by itself; what does not is told when patience ends.
            Some(Err(error)) if heard.elapsed() > PATIENCE => {
                return Err(faults::from_error(&error).while_doing(doing()));
            }
            Some(Err(_)) => {}
            None if heard.elapsed() > PATIENCE => {
                let seconds = PATIENCE.as_secs();
                return Err(Fault::retry(faults::UNAVAILABLE, format!("{topic} gave nothing for {seconds} s")));
            }
            None => {}
        }
    }
    Ok(())
}

/// For each Kafka partition that is to be read: the first offset, and the one after the last.
fn ranges(broker: &Broker, topic: &str, count: u64) -> Result<BTreeMap<i32, (i64, i64)>, Fault> {
    let mut marks = BTreeMap::new();
    for partition in broker.partitions(topic)? {
        let (low, high) = broker.watermarks(&TopicPartition::new(topic, partition))?;
        marks.insert(partition, (low, high));
    }
    Ok(shares(&marks, count))
}

/// The newest `count` offsets, from each Kafka partition as many as from the others as far as they have them.
fn shares(marks: &BTreeMap<i32, (i64, i64)>, count: u64) -> BTreeMap<i32, (i64, i64)> {
    let held = |(low, high): (i64, i64)| u64::try_from(high.saturating_sub(low)).unwrap_or(0);
    let mut by_size: Vec<(i32, (i64, i64))> = marks.iter().map(|(partition, range)| (*partition, *range)).collect();
    by_size.retain(|(_, range)| held(*range) > 0);
    // The smallest first: what they do not have the others give.
    by_size.sort_by_key(|(_, range)| held(*range));
    let (mut left, mut others) = (count, by_size.len() as u64);
    let mut chosen = BTreeMap::new();
    for (partition, (low, high)) in by_size {
        let share = left.div_ceil(others.max(1)).min(held((low, high)));
        others = others.saturating_sub(1);
        left -= share;
        if share > 0 {
            chosen.insert(partition, (high - i64::try_from(share).unwrap_or(0), high));
        }
    }
    chosen
}

fn consumer(settings: &Settings) -> Result<KafkaConsumer, Fault> {
    let mut config = settings.client()?;
    // The client wants a name even where it joins nothing.
    let group = settings.user.get("group.id").map_or("forebay", String::as_str);
    config.set("group.id", group);
    for (key, value) in [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "earliest"),
        ("enable.partition.eof", "true"),
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.queue.backoff.ms", "10"),
        ("allow.auto.create.topics", "false"),
    ] {
        config.set(key, value);
    }
    KafkaConsumer::from_config_and_context(&config, Context::asking()).map_err(|error| faults::from_error(&error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::mock::EmbeddedKafka;
    use super::super::producer::{Outgoing, Producer};
    use super::*;

    #[test]
    fn examples_are_read_from_the_end_of_each_partition() {
        let kafka = EmbeddedKafka::start(&[("orders", 2)]).unwrap();
        let servers = ("bootstrap.servers".to_owned(), kafka.bootstrap_servers().to_owned());
        let settings = Settings { user: BTreeMap::from([servers]), ..Settings::default() };
        let producer = Producer::connect(&settings, |_| {}).unwrap();
        for number in 0..20_usize {
            let payload = format!("<m>{number}</m>");
            let payload = (number != 19).then_some(payload.as_bytes());
            let partition = Some(i32::from(number % 2 == 1));
            producer.send(Outgoing { number, topic: "orders", partition, key: None, headers: &[], payload }).unwrap();
        }
        assert_eq!(producer.flush(Duration::from_secs(30)).unwrap(), 0);
        let mut got = Vec::new();
        newest(&settings, "orders", 6, |partition, offset, payload| {
            got.push((partition.partition, offset, payload.map(|bytes| String::from_utf8_lossy(bytes).into_owned())));
        })
        .unwrap();
        got.sort();
        let expected = [(0, 7, Some("<m>14</m>")), (0, 8, Some("<m>16</m>")), (0, 9, Some("<m>18</m>"))];
        let expected = expected.into_iter().chain([(1, 7, Some("<m>15</m>")), (1, 8, Some("<m>17</m>")), (1, 9, None)]);
        assert_eq!(got, expected.map(|(p, o, text)| (p, o, text.map(str::to_owned))).collect::<Vec<_>>());
    }

    #[test]
    fn the_newest_come_from_every_partition() {
        let marks = BTreeMap::from([(0, (0, 100)), (1, (10, 12)), (2, (5, 5)), (3, (50, 90))]);
        assert_eq!(shares(&marks, 10), BTreeMap::from([(0, (96, 100)), (1, (10, 12)), (3, (86, 90))]));
        assert_eq!(shares(&marks, 1), BTreeMap::from([(1, (11, 12))]));
        assert_eq!(shares(&marks, 1000).values().map(|(from, to)| to - from).sum::<i64>(), 142);
    }

    proptest! {
        #[test]
        fn as_many_as_wanted_or_as_there_are(sizes in prop::collection::vec(0_i64..50, 0..8), count in 0_u64..300) {
            let marks: BTreeMap<i32, (i64, i64)> = (0..).zip(sizes.iter().map(|size| (7, 7 + size))).collect();
            let chosen = shares(&marks, count);
            let total: i64 = chosen.values().map(|(from, to)| to - from).sum();
            prop_assert_eq!(total as u64, count.min(sizes.iter().sum::<i64>() as u64));
            prop_assert!(chosen.iter().all(|(partition, (from, to))| *from >= 7 && *to == marks[partition].1));
        }
    }
}
