//! Who has how much in a space, and whose entries are over what one author may have there.
//!
//! The question is the protocol's ([`Account`]), over the logs that are stored. Most authors are far from
//! any limit, which their logs' ends tell; only of those who are not are the headers read, once, and
//! remembered here. All of it can be forgotten: it follows from directory and logs.
//!
//! An author's logs are counted by ascending incarnation. Entries of a lower one may turn up late, and
//! then later entries that counted are over: [`Ledger::fallen`] tells which, so that their documents are
//! made again before what turned up is taken as done.

use crate::making::place_of;
use crate::shared::lock;
use crate::store::{Place, Reader, StoreError, StoredLog};
use fenbu_protocol::directory::{Account, Directory, Excess, Ordinal, Quota};
use fenbu_protocol::id::{DocId, Hash, LogId, NodeId, SpaceId};
use fenbu_protocol::log::Header;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Authors whose entries are counted one by one and remembered; each may take some tens of mebibytes.
const BOOKS_MAX: usize = 8;
/// Bytes of runs read at a time.
const READ_BYTES: usize = 4 << 20;

type Whose = (SpaceId, NodeId);

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<Whose, Book>>);

/// One author's entries in one space, counted as far as matters.
#[derive(Debug)]
struct Book {
    quotas: Vec<(u64, Quota)>,
    account: Account,
    /// Logs by incarnation, and how far each was counted.
    read: Vec<(LogId, u64, Hash)>,
    /// What came to be over since it was last asked for.
    fallen: Option<Span>,
}

/// Entries from a place on, and up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: Ordinal,
    before: Option<Ordinal>,
}

impl Span {
    fn and(self, other: Self) -> Self {
        let before = self.before.zip(other.before).map(|(a, b)| a.max(b));
        Self { from: self.from.min(other.from), before }
    }

    fn holds(&self, at: Ordinal) -> bool {
        self.from <= at && self.before.is_none_or(|before| at < before)
    }
}

impl Book {
    fn new(quotas: Vec<(u64, Quota)>) -> Self {
        let account = Account::new(quotas.iter().map(|(_, quota)| *quota).collect());
        Self { quotas, account, read: Vec::new(), fallen: None }
    }

    /// Whether what was counted is still the beginning of these logs.
    fn goes_on(&self, logs: &[StoredLog]) -> bool {
        let Some((last, before)) = self.read.split_last() else { return true };
        let whole = |(read, log): (&(LogId, u64, Hash), &StoredLog)| {
            read.0 == log.log && read.1 == log.tip.seq && read.2 == log.tip.hash
        };
        let at = before.len();
        logs.len() > at
            && before.iter().zip(logs).all(whole)
            && logs[at].log == last.0
            && (logs[at].tip.seq > last.1 || whole((last, &logs[at])))
    }

    /// Counts on to the ends of the logs, or until nothing more can change; `false` if what was counted
    /// turns out to be of another history.
    fn count(&mut self, reader: &dyn Reader, logs: &[StoredLog]) -> Result<bool, StoreError> {
        for log in &logs[self.read.len().saturating_sub(1)..] {
            let (mut seq, mut hash) = match self.read.last() {
                Some((last, seq, hash)) if *last == log.log => (*seq, *hash),
                _ => {
                    self.read.push((log.log, 0, Hash(log.log.0)));
                    (0, Hash(log.log.0))
                }
            };
            while seq < log.tip.seq && !self.account.is_settled() {
                let Some(run) = reader.run(log.log, seq + 1, READ_BYTES)? else { break };
                for entry in run.entries() {
                    if entry.header.previous != hash {
                        return Ok(false);
                    }
                    self.account.count(log.opening.incarnation, &entry.header);
                    (seq, hash) = (entry.header.seq, entry.header.hash());
                }
            }
            // INVARIANT: it was pushed above, or is the one counting went on in.
            *self.read.last_mut().expect("the log being counted") = (log.log, seq, hash);
            if self.account.is_settled() {
                break;
            }
        }
        Ok(true)
    }

    /// Where entries are over each of the quotas.
    fn over(&self) -> Vec<Option<Ordinal>> {
        (0..self.quotas.len()).map(|n| self.account.over(n).map(|(at, _)| at)).collect()
    }

    /// What is over now and was not `before`.
    fn fallen_since(&self, before: &[Option<Ordinal>]) -> Option<Span> {
        let both = self.over().into_iter().zip(before);
        let spans = both.filter_map(|(from, before)| {
            let from = from?;
            let fell = before.is_none_or(|before| from < before);
            fell.then_some(Span { from, before: *before })
        });
        spans.reduce(Span::and)
    }
}

/// An author's logs in a space, by incarnation.
fn logs_of(reader: &dyn Reader, (space, author): Whose) -> Result<Vec<StoredLog>, StoreError> {
    let mut logs = reader.logs(space)?;
    logs.retain(|log| log.opening.node == author && log.tip.seq > 0);
    logs.sort_by_key(|log| log.opening.incarnation);
    Ok(logs)
}

/// Entries and body bytes of these logs.
fn sums(logs: &[StoredLog]) -> (u64, u64) {
    logs.iter().fold((0, 0), |(entries, bytes), log| {
        (entries + log.tip.seq, u64::saturating_add(bytes, log.tip.body_bytes))
    })
}

/// Whether so much is within a quota, whatever documents it is about.
pub(crate) fn is_well_within((entries, bytes): (u64, u64), quota: &Quota) -> bool {
    entries <= quota.entries && bytes <= quota.bytes && entries <= quota.documents
}

fn judging(directory: &Directory, space: &SpaceId) -> Vec<(u64, Quota)> {
    let usual = || vec![(0, Quota::default())];
    directory.space(space).map_or_else(usual, |s| s.judging_quotas())
}

/// The least of them: the last.
fn least(quotas: &[(u64, Quota)]) -> Quota {
    quotas.last().map(|(_, quota)| *quota).unwrap_or_default()
}

impl Ledger {
    /// Whether all an author has in a space, and this much more of it, is within every limit. Costs no
    /// reading of entries.
    pub(crate) fn is_clear(
        reader: &dyn Reader,
        directory: &Directory,
        whose: Whose,
        (entries, bytes): (u64, u64),
    ) -> Result<bool, StoreError> {
        let held = sums(&logs_of(reader, whose)?);
        let all = (held.0 + entries, held.1.saturating_add(bytes));
        Ok(is_well_within(all, &least(&judging(directory, &whose.0))))
    }

    /// What of the limits an entry is over that is judged by `epoch`, as the logs are now.
    pub(crate) fn excess(
        &self,
        reader: &dyn Reader,
        directory: &Directory,
        whose: Whose,
        header: &Header,
        epoch: u64,
    ) -> Result<Option<(Excess, Quota)>, StoreError> {
        let quotas = judging(directory, &whose.0);
        let logs = logs_of(reader, whose)?;
        if is_well_within(sums(&logs), &least(&quotas)) {
            return Ok(None);
        }
        let Some(log) = logs.iter().find(|log| log.log == header.log) else { return Ok(None) };
        let place = Ordinal { incarnation: log.opening.incarnation, seq: header.seq };
        let number = quotas.partition_point(|(from, _)| *from <= epoch).saturating_sub(1);
        let quota = quotas[number].1;
        self.with_book(reader, whose, quotas, &logs, |book| {
            let over = book.account.over(number).filter(|(from, _)| *from <= place);
            over.map(|(_, excess)| (excess, quota))
        })
    }

    /// Documents with entries that had counted and are over now, since others came to stand before them.
    /// It is told once.
    pub(crate) fn fallen(
        &self,
        reader: &dyn Reader,
        directory: &Directory,
        whose: Whose,
    ) -> Result<BTreeSet<Place>, StoreError> {
        let quotas = judging(directory, &whose.0);
        let logs = logs_of(reader, whose)?;
        if is_well_within(sums(&logs), &least(&quotas)) {
            return Ok(BTreeSet::new());
        }
        let span = self.with_book(reader, whose, quotas, &logs, |book| book.fallen.take())?;
        let mut places = BTreeSet::new();
        let Some(span) = span else { return Ok(places) };
        for log in &logs {
            let incarnation = log.opening.incarnation;
            let first = Ordinal { incarnation, seq: 1 }.max(span.from);
            if first.incarnation != incarnation {
                continue;
            }
            let mut next = first.seq;
            // Beyond its cursor nothing has counted yet.
            while next <= log.cursor && span.holds(Ordinal { incarnation, seq: next }) {
                let Some(run) = reader.run(log.log, next, READ_BYTES)? else { break };
                let counted = run.entries().filter(|e| e.header.seq <= log.cursor);
                let fell =
                    counted.filter(|e| span.holds(Ordinal { incarnation, seq: e.header.seq }));
                places.extend(fell.map(|e| place_of(whose.0, &e.header)));
                next = run.last() + 1;
            }
        }
        Ok(places)
    }

    /// From where on entries of a log may be over a limit; `None` if none is.
    pub(crate) fn first_over(
        &self,
        reader: &dyn Reader,
        directory: &Directory,
        whose: Whose,
        log: &StoredLog,
    ) -> Result<Option<u64>, StoreError> {
        let quotas = judging(directory, &whose.0);
        let logs = logs_of(reader, whose)?;
        if is_well_within(sums(&logs), &least(&quotas)) {
            return Ok(None);
        }
        let over = self.with_book(reader, whose, quotas, &logs, |book| book.over())?;
        // The least quota is gone over first.
        let Some(from) = over.into_iter().flatten().min() else { return Ok(None) };
        let start = Ordinal { incarnation: log.opening.incarnation, seq: 1 };
        let first = start.max(from);
        Ok((first.incarnation == start.incarnation).then_some(first.seq))
    }

    /// The documents an author's entries name.
    pub(crate) fn documents(
        reader: &dyn Reader,
        whose: Whose,
    ) -> Result<BTreeSet<DocId>, StoreError> {
        let boundless = Quota { entries: u64::MAX, bytes: u64::MAX, documents: u64::MAX };
        let mut book = Book::new(vec![(0, boundless)]);
        book.count(reader, &logs_of(reader, whose)?)?;
        Ok(book.account.documents().clone())
    }

    /// The author's book, brought up to date.
    fn with_book<T>(
        &self,
        reader: &dyn Reader,
        whose: Whose,
        quotas: Vec<(u64, Quota)>,
        logs: &[StoredLog],
        ask: impl FnOnce(&mut Book) -> T,
    ) -> Result<T, StoreError> {
        let mut books = lock(&self.0);
        let old = books.remove(&whose);
        let known = old.as_ref().filter(|book| book.quotas == quotas);
        let before = known.map_or_else(|| vec![None; quotas.len()], Book::over);
        let left = known.and_then(|book| book.fallen);
        let mut book = match old {
            Some(book) if book.quotas == quotas && book.goes_on(logs) => book,
            _ => Book::new(quotas.clone()),
        };
        if !book.count(reader, logs)? {
            book = Book::new(quotas);
            if !book.count(reader, logs)? {
                let what = format!("node {} signed a chain that breaks", whose.1.short());
                return Err(StoreError::Inconsistent(what));
            }
        }
        let fell = book.fallen_since(&before);
        book.fallen = left.into_iter().chain(fell).reduce(Span::and);
        if books.len() >= BOOKS_MAX {
            books.pop_first();
        }
        let answer = ask(&mut book);
        books.insert(whose, book);
        Ok(answer)
    }
}
