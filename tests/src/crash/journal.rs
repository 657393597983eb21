//! What a node said it has, kept where its crashes cannot reach.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// One line a promise, flushed to the disk before the promise counts.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// # Errors
    /// If there is one already, or the disk refuses.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::options().create_new(true).append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Somebody is about to ask for this change: unless it is acknowledged, it may have happened.
    pub fn asks(&self, id: &str, title: &str) -> Result<()> {
        self.note("asks", id, title)
    }

    /// The node said that it has it.
    pub fn acknowledges(&self, id: &str, title: &str) -> Result<()> {
        self.note("has", id, title)
    }

    fn note(&self, what: &str, id: &str, title: &str) -> Result<()> {
        // One write to a file opened for appending: lines of several threads do not mix.
        (&self.file).write_all(format!("{what}\t{id}\t{title}\n").as_bytes())?;
        Ok(self.file.sync_data()?)
    }

    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> Result<u64> {
        let text = std::fs::read_to_string(&self.path)?;
        Ok(text.lines().filter(|line| line.starts_with("has\t")).count() as u64)
    }

    /// Ids of records that were acknowledged and are not `shown` (title by id) as they may be.
    pub fn missing(&self, shown: &BTreeMap<String, String>) -> Result<Vec<String>> {
        let allowed = self.allowed()?;
        let kept = |id: &String, titles: &BTreeSet<String>| {
            shown.get(id).is_some_and(|title| titles.contains(title))
        };
        Ok(allowed.into_iter().filter(|(id, t)| !kept(id, t)).map(|(id, _)| id).collect())
    }

    /// What each record may be called: as acknowledged last, or as somebody asked after that.
    fn allowed(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in std::fs::read_to_string(&self.path)?.lines() {
            let mut fields = line.splitn(3, '\t');
            let mut field = || fields.next().context("a torn line in the journal");
            let (what, id, title) = (field()?, field()?, field()?);
            let titles = allowed.entry(id.to_owned()).or_default();
            if what == "has" {
                titles.clear();
            }
            titles.insert(title.to_owned());
        }
        Ok(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(records: &[(&str, &str)]) -> BTreeMap<String, String> {
        records.iter().map(|(id, title)| ((*id).to_owned(), (*title).to_owned())).collect()
    }

    #[test]
    fn what_is_gone_or_older_than_acknowledged_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(&folder.path().join("journal")).unwrap();
        journal.acknowledges("1", "a").unwrap();
        journal.acknowledges("2", "a").unwrap();
        journal.asks("2", "b").unwrap();
        assert_eq!(journal.missing(&shown(&[("2", "a")])).unwrap(), ["1"]);
        assert!(journal.missing(&shown(&[("1", "a"), ("2", "b"), ("3", "c")])).unwrap().is_empty());
        journal.acknowledges("2", "b").unwrap();
        assert_eq!(journal.missing(&shown(&[("1", "a"), ("2", "a")])).unwrap(), ["2"]);
        assert_eq!(journal.acknowledged().unwrap(), 3);
    }
}
