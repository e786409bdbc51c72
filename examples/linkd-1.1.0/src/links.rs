//! The links and their hits: two shared tables, which sessions read and write without a message.

use std::time::SystemTime;

use reld_sdk::Exit;
use reld_sdk::ets::{self, Error, Reason, Table};
use reld_sdk::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

pub(crate) const LINKS: &str = "linkd_links";
pub(crate) const HITS: &str = "linkd_hits";

/// The number of links that one callback of the sweeper goes through, so that other processes and
/// an upgrade do not have to wait for it.
const PAGE: usize = 500;

/// The tables. They are numbers, so the state of a session holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Links {
    links: Table<String, Link>,
    /// In a table of its own, because only a number can be counted up atomically.
    hits: Table<String, i64>,
}

/// A row. No upgrade converts rows, so each version reads the rows of the others: give an added
/// field a default, and never rename a field or change its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) url: String,
    /// The end of the link's time, in seconds since 1970. New in 1.1.0; `None` in a row of 1.0.0
    /// until the sweeper finds the row.
    #[serde(default)]
    pub(crate) until_s: Option<u64>,
}

impl Links {
    pub(crate) fn create() -> Result<Self, Error> {
        // Public, because sessions write to the tables and do not own them.
        let options = || ets::Options::new().ordered().public();
        Ok(Self { links: options().named(LINKS).create()?, hits: options().named(HITS).create()? })
    }

    pub(crate) fn find() -> Result<Self, Exit> {
        let missing = || Exit::error("the tables of linkd are missing");
        Ok(Self {
            links: ets::whereis(LINKS)?.ok_or_else(missing)?,
            hits: ets::whereis(HITS)?.ok_or_else(missing)?,
        })
    }

    /// Adds a link; returns whether its name was free.
    pub(crate) fn add(self, name: &str, link: &Link) -> Result<bool, Error> {
        // Of two sessions that add the same name at the same time, one inserts the row.
        let is_new = self.links.insert_new(&name.to_owned(), link)?;
        if is_new {
            self.hits.insert(&name.to_owned(), &0)?;
        }
        Ok(is_new)
    }

    /// Returns the address of a link, and counts a hit.
    pub(crate) fn follow(self, name: &str) -> Result<Option<String>, Error> {
        let Some(link) = self.links.get(&name.to_owned())? else { return Ok(None) };
        match self.hits.update_counter(&name.to_owned(), 1, None) {
            // Another process is just adding or removing the link.
            Err(error) if error.reason() == Reason::NoRow => {}
            counted => drop(counted?),
        }
        Ok(Some(link.url))
    }

    /// Goes through a page of links after a name: removes those with a time that is over, and gives
    /// a time to those without one. Returns the last name of the page, or `None` after the last
    /// page.
    ///
    /// Only the sweeper may call this function: a row does not change between two of its steps.
    pub(crate) fn sweep(self, after: Option<&String>, keep_s: u64) -> Result<Option<String>, Error> {
        let page = self.links.page(after, PAGE)?;
        for (name, link) in &page {
            match link.until_s {
                Some(until_s) if until_s <= now_s() => self.remove(name)?,
                Some(_) => {}
                None => self.links.insert(name, &Link::new(&link.url, keep_s))?,
            }
        }
        Ok(page.into_iter().nth(PAGE - 1).map(|(name, _)| name))
    }

    /// Removes a link. The hits go first: while the link is there, no client can add its name
    /// again.
    fn remove(self, name: &String) -> Result<(), Error> {
        self.hits.take(name)?;
        self.links.take(name)?;
        Ok(())
    }

    pub(crate) fn hits(self, name: &str) -> Result<Option<i64>, Error> {
        self.hits.get(&name.to_owned())
    }
}

impl Link {
    pub(crate) fn new(url: &str, keep_s: u64) -> Self {
        Self { url: url.to_owned(), until_s: Some(now_s().saturating_add(keep_s)) }
    }
}

fn now_s() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
