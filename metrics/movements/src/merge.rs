use std::{cmp::Reverse, collections::BinaryHeap, path::PathBuf};

use crate::{
    Knowledge, MovementError,
    run::{Columns, Run, batch_rows},
    text::Texts,
};

/// The runs of a bucket, read as one: customer after customer.
pub(crate) struct Merge<C> {
    runs: Vec<Run<C>>,
    /// The next customer of every run.
    next: BinaryHeap<Reverse<(String, usize)>>,
}

impl<C: Columns> Merge<C> {
    pub(crate) fn open(
        paths: &[PathBuf],
        columns: impl Fn() -> C,
        unread: &[&str],
        texts: &mut Texts,
    ) -> Result<Self, MovementError> {
        let mut merge = Self {
            runs: Vec::with_capacity(paths.len()),
            next: BinaryHeap::with_capacity(paths.len()),
        };
        let rows = batch_rows(paths.len());
        for path in paths {
            if let Some(run) = Run::open(path.clone(), columns(), unread, rows, texts)? {
                merge.next.push(Reverse((run.customer().to_owned(), merge.runs.len())));
                merge.runs.push(run);
            }
        }
        Ok(merge)
    }

    /// The customer whose rows come next.
    pub(crate) fn customer(&self) -> Option<&str> {
        self.next.peek().map(|Reverse((customer, _))| customer.as_str())
    }

    /// Gathers the rows of the next customer from all runs.
    pub(crate) fn take(
        &mut self,
        knowledge: &Knowledge,
        texts: &mut Texts,
        into: &mut C::Into,
    ) -> Result<(), MovementError> {
        let Some(Reverse((customer, first))) = self.next.pop() else {
            return Ok(());
        };
        let mut spare = String::new();
        let mut index = Some(first);
        while let Some(run_index) = index {
            let run = &mut self.runs[run_index];
            if run.take(&customer, knowledge, texts, into)? {
                spare.clear();
                spare.push_str(run.customer());
                self.next.push(Reverse((std::mem::take(&mut spare), run_index)));
            }
            index = None;
            if self.customer() == Some(customer.as_str())
                && let Some(Reverse((same, run_index))) = self.next.pop()
            {
                spare = same;
                index = Some(run_index);
            }
        }
        Ok(())
    }
}
