//! The links and their hits: two shared tables, which sessions read and write without a message.

use reld_sdk::Exit;
use reld_sdk::ets::{self, Error, Reason, Table};
use reld_sdk::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

pub(crate) const LINKS: &str = "linkd_links";
pub(crate) const HITS: &str = "linkd_hits";

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

    pub(crate) fn hits(self, name: &str) -> Result<Option<i64>, Error> {
        self.hits.get(&name.to_owned())
    }
}
