//! Plots of counts over time, as numbers for a template that draws them.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::words::{Words, word};
use crate::pages::time_value;
use crate::texts::Language;
use crate::types::Timestamp;

/// The height of a plot, in its own units.
const HEIGHT: f64 = 100.0;

/// The width of the place of a bar, and of the bar in it.
const PLACE: f64 = 10.0;
const BAR: f64 = 8.0;

/// The colours of series. Those beyond have the last one.
const COLOURS: usize = 6;

/// Counts by name of a period, which begins at the time.
pub(super) struct Bucket<'a> {
    /// The beginning.
    pub begins: Timestamp,
    /// The counts of its hours.
    pub counts: Vec<&'a BTreeMap<String, i64>>,
}

impl Bucket<'_> {
    /// Keeps the last hour that has counts.
    fn keep_last(&mut self) {
        self.counts = self.counts.iter().rev().find(|counts| !counts.is_empty()).copied().into_iter().collect();
    }

    fn count(&self, name: &str) -> i64 {
        self.counts.iter().filter_map(|counts| counts.get(name)).fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Returns a plot with a bar for each bucket, made of the events of each name: the most frequent at the bottom. `words`
/// are those for the names.
pub(super) fn chart(buckets: &[Bucket<'_>], words: &Words, language: Language) -> Value {
    draw(buckets, &names(buckets), words, language)
}

/// Returns a plot with a bar for each bucket, made of how much there was of each name at its last hour with counts. The
/// totals are those of the last bar.
pub(super) fn chart_of_states(mut buckets: Vec<Bucket<'_>>, words: &Words, language: Language) -> Value {
    buckets.iter_mut().for_each(Bucket::keep_last);
    let last = buckets.iter().rposition(|bucket| !bucket.counts.is_empty()).unwrap_or_default();
    let mut names = names(&buckets);
    for (name, total) in &mut names {
        *total = buckets.get(last).map_or(0, |bucket| bucket.count(name));
    }
    draw(&buckets, &names, words, language)
}

fn draw(buckets: &[Bucket<'_>], names: &[(String, i64)], words: &Words, language: Language) -> Value {
    let total_of =
        |bucket: &Bucket<'_>| names.iter().fold(0_i64, |sum, (name, _)| sum.saturating_add(bucket.count(name)));
    let highest = buckets.iter().map(total_of).max().unwrap_or_default().max(1);
    let bars = buckets.iter().enumerate().map(|(index, bucket)| {
        let mut below = 0.0;
        let parts = names.iter().enumerate().filter_map(|(series, (name, _))| {
            let height = number(bucket.count(name)) / number(highest) * HEIGHT;
            below += height;
            (height > 0.0).then(|| {
                context! { colour => series.min(COLOURS - 1), y => rounded(HEIGHT - below), height => rounded(height) }
            })
        });
        let parts: Vec<Value> = parts.collect();
        context! { x => rounded(number(i64::try_from(index).unwrap_or_default()) * PLACE + (PLACE - BAR) / 2.0), parts }
    });
    let rows = buckets.iter().filter(|bucket| total_of(bucket) > 0).map(|bucket| {
        let counts = names.iter().map(|(name, _)| bucket.count(name)).collect::<Vec<_>>();
        context! { begins => time_value(bucket.begins, language), counts }
    });
    let legend = names.iter().enumerate().map(|(series, (name, total))| {
        let name = word(words, name).value(language);
        context! { name, total, colour => series.min(COLOURS - 1) }
    });
    context! {
        width => rounded(number(i64::try_from(buckets.len()).unwrap_or_default()) * PLACE),
        highest,
        bars => bars.collect::<Vec<_>>(),
        rows => rows.collect::<Vec<_>>(),
        legend => legend.collect::<Vec<_>>(),
        begins => buckets.first().map(|bucket| time_value(bucket.begins, language)),
        ends => buckets.last().map(|bucket| time_value(bucket.begins, language)),
        is_empty => names.is_empty(),
    }
}

/// Returns the names with their totals, the most frequent first.
fn names(buckets: &[Bucket<'_>]) -> Vec<(String, i64)> {
    let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
    for (name, count) in buckets.iter().flat_map(|bucket| &bucket.counts).flat_map(|counts| counts.iter()) {
        let total = totals.entry(name).or_default();
        *total = total.saturating_add(*count);
    }
    let mut totals: Vec<(String, i64)> = totals.into_iter().map(|(name, total)| (name.to_owned(), total)).collect();
    totals.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    totals
}

/// Returns shares of a whole as widths of bars, from 0 to 100.
pub(super) fn shares(counts: &BTreeMap<String, i64>, words: &Words, language: Language) -> Vec<Value> {
    let total = counts.values().fold(0_i64, |sum, count| sum.saturating_add(*count)).max(1);
    let mut sorted: Vec<(&String, &i64)> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let share = |(name, count): (&String, &i64)| {
        let name = word(words, name).value(language);
        context! { name, count, width => rounded(number(*count) / number(total) * 100.0) }
    };
    sorted.into_iter().map(share).collect()
}

/// Returns a count as a number for drawing, which need not be exact.
fn number(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Returns a number with a digit behind the point, which is exact enough for drawing.
fn rounded(number: f64) -> String {
    format!("{number:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::admin::words::{DEVICES, LOGINS};

    fn plot(buckets: &[Bucket<'_>]) -> serde_json::Value {
        serde_json::to_value(chart(buckets, &LOGINS, Language::English)).unwrap()
    }

    #[test]
    fn bars_fill_the_plot_up_to_the_highest() {
        let [busy, idle] =
            [("succeeded", 30), ("refused", 10)].map(|(name, count)| BTreeMap::from([(name.to_owned(), count)]));
        let at = Timestamp::from_secs;
        let buckets = [
            Bucket { begins: at(0), counts: vec![&busy, &idle] },
            Bucket { begins: at(3600), counts: vec![&idle] },
            Bucket { begins: at(7200), counts: vec![] },
        ];
        let plot = plot(&buckets);
        let parts = |index: usize| &plot["bars"][index]["parts"];
        assert_eq!((&plot["highest"], &plot["width"]), (&serde_json::json!(40), &serde_json::json!("30.0")));
        assert_eq!((&parts(0)[0]["y"], &parts(0)[1]["y"]), (&serde_json::json!("25.0"), &serde_json::json!("0.0")));
        assert_eq!(
            (&parts(1)[0]["colour"], &parts(1)[0]["height"]),
            (&serde_json::json!(1), &serde_json::json!("25.0"))
        );
        assert_eq!(parts(2), &serde_json::json!([]));
        assert_eq!(plot["rows"].as_array().unwrap().len(), 2, "an hour without anything is not listed");
    }

    #[test]
    fn a_plot_of_states_adds_nothing_up() {
        let [night, noon] = [5, 8].map(|live| BTreeMap::from([("desktop".to_owned(), live), ("mobile".to_owned(), 1)]));
        let none = BTreeMap::new();
        let at = Timestamp::from_secs;
        let buckets = vec![
            Bucket { begins: at(0), counts: vec![&noon, &night, &none] },
            Bucket { begins: at(3600), counts: vec![&noon] },
            Bucket { begins: at(7200), counts: vec![] },
        ];
        let plot = serde_json::to_value(chart_of_states(buckets, &DEVICES, Language::English)).unwrap();
        assert_eq!((&plot["highest"], &plot["legend"][0]["total"]), (&serde_json::json!(9), &serde_json::json!(8)));
        assert_eq!(plot["rows"][0]["counts"], serde_json::json!([5, 1]));
    }

    #[test]
    fn a_plot_of_nothing_says_so() {
        let plot = plot(&[]);
        assert_eq!(plot["is_empty"], serde_json::json!(true));
    }
}
