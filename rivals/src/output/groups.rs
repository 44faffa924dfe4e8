//! Records, put together as tables and plots show them.

use crate::case::Case;
use crate::measure::Scope;
use crate::record::Record;

/// Cases that differ in the size of their messages only.
pub(crate) struct Group<'r> {
    /// Such as `spsc/single`.
    pub(crate) name: String,
    /// In bytes, ascending.
    pub(crate) sizes: Vec<usize>,
    pub(crate) rows: Vec<Row<'r>>,
}

/// A system's results.
pub(crate) struct Row<'r> {
    pub(crate) system: &'r str,
    pub(crate) scope: Scope,
    /// One for each of the group's sizes.
    pub(crate) records: Vec<Option<&'r Record>>,
}

impl Row<'_> {
    /// Name and scope, as shown.
    pub(crate) fn label(&self) -> String {
        match self.scope {
            Scope::Threads => format!("{} (threads)", self.system),
            Scope::Processes | Scope::Limit => self.system.to_owned(),
        }
    }

    pub(crate) fn medians(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        self.records.iter().map(|record| record.and_then(|record| record.median))
    }
}

/// Groups of throughput or latency, in the order of the records.
pub(crate) fn of(records: &[Record]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let swept = |record: &&Record| matches!(record.case, Case::Throughput { .. } | Case::Latency { .. });
    for record in records.iter().filter(swept) {
        let name = record.case.group();
        let index = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            groups.push(Group { name, sizes: Vec::new(), rows: Vec::new() });
            groups.len() - 1
        });
        groups[index].add(record);
    }
    groups.iter_mut().for_each(Group::arrange);
    groups
}

impl<'r> Group<'r> {
    fn add(&mut self, record: &'r Record) {
        if !self.sizes.contains(&record.case.bytes()) {
            self.sizes.push(record.case.bytes());
        }
        let known = |row: &Row<'_>| row.system == record.system && row.scope == record.scope;
        let index = self.rows.iter().position(known).unwrap_or_else(|| {
            self.rows.push(Row { system: &record.system, scope: record.scope, records: Vec::new() });
            self.rows.len() - 1
        });
        self.rows[index].records.push(Some(record));
    }

    /// Sizes ascend; processes come before threads, and systems with figures first.
    fn arrange(&mut self) {
        self.sizes.sort_unstable();
        for row in &mut self.rows {
            let found = std::mem::take(&mut row.records);
            let of_size = |size: &usize| {
                let mut found = found.iter().flatten();
                found.find(|record| record.case.bytes() == *size).copied()
            };
            row.records = self.sizes.iter().map(of_size).collect();
        }
        self.rows.sort_by_key(|row| (crate::scope_rank(row.scope), row.medians().flatten().count() == 0));
    }

    /// Whether less is better.
    pub(crate) fn is_latency(&self) -> bool {
        self.name.starts_with("latency")
    }

    /// The best median of a scope at the size of that index.
    pub(crate) fn best(&self, scope: Scope, index: usize) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.scope == scope);
        let medians = rows.filter_map(|row| row.medians().nth(index)?);
        if self.is_latency() { medians.min_by(f64::total_cmp) } else { medians.max_by(f64::total_cmp) }
    }
}

/// Sizes in human-readable form.
pub(crate) fn size_name(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_put_together_by_size() {
        let record = |case: &str, system, scope, figure| {
            Record::figures(case.parse().unwrap(), system, scope, &[figure])
        };
        let records = [
            record("spsc/64/single", "rtrb", Scope::Threads, 5.0),
            record("spsc/64/single", "pipe", Scope::Processes, 2.0),
            record("spsc/8/single", "rtrb", Scope::Threads, 7.0),
            record("spsc/8/single", "ringway", Scope::Processes, 3.0),
            record("latency/64/spin", "pipe", Scope::Processes, 9.0),
            record("latency/64/spin", "shaq", Scope::Processes, 8.0),
        ];
        let groups = of(&records);
        assert_eq!(
            groups.iter().map(|group| &group.name[..]).collect::<Vec<_>>(),
            ["spsc/single", "latency/spin"]
        );
        let spsc = &groups[0];
        assert_eq!(spsc.sizes, [8, 64]);
        assert_eq!(
            spsc.rows.iter().map(Row::label).collect::<Vec<_>>(),
            ["pipe", "ringway", "rtrb (threads)"]
        );
        assert_eq!(spsc.rows[2].medians().collect::<Vec<_>>(), [Some(7.0), Some(5.0)]);
        assert_eq!((spsc.best(Scope::Processes, 0), spsc.best(Scope::Threads, 1)), (Some(3.0), Some(5.0)));
        assert_eq!(groups[1].best(Scope::Processes, 0), Some(8.0));
        assert_eq!([64, 1024, 65_536, 1 << 20].map(size_name), ["64 B", "1 KiB", "64 KiB", "1 MiB"]);
    }
}
