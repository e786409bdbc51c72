//! Shared tables: rows of bytes that any process can read and write, owned by the node. OTP: `ets`.
//!
//! A process holds the number of a table, so its state keeps the table across an upgrade. Rows are
//! bytes and need no conversion. [`Access`] decides which processes may read and write. A table
//! ends with its owner unless it has an heir.

mod order;
mod table;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use reld_wire::table::{
    Access, Error as TableError, Event as TableEvent, Heir, Kind as TableKind, Options, Reason, Request,
    TableId,
};
use serde_bytes::ByteBuf;

use self::table::Rows;
use self::wire::{reply, told};
use crate::io::owners::Owners;
use crate::words::code::Bytes;
use crate::words::pid::Pid;
use crate::words::term;

/// A table, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// The number of the table.
    pub table: TableId,
    /// The name of the table.
    pub name: Option<String>,
    /// Whether the rows are ordered by their keys.
    pub kind: TableKind,
    /// Which processes may use the table.
    pub access: Access,
    /// The owner.
    pub owner: Pid,
    /// The process that inherits the table when its owner ends.
    pub heir: Option<Pid>,
    /// How many rows the table has.
    pub rows: usize,
    /// How many bytes the keys and values take.
    pub bytes: usize,
}

/// All tables of a node.
#[derive(Default)]
pub(crate) struct Tables {
    directory: RwLock<Directory>,
    last: AtomicU64,
}

#[derive(Default)]
struct Directory {
    entries: HashMap<TableId, Entry>,
    by_name: HashMap<String, TableId>,
    by_owner: HashMap<Pid, Vec<TableId>>,
}

struct Entry {
    rows: Arc<RwLock<Rows>>,
    name: Option<String>,
    access: Access,
    owner: Pid,
    heir: Option<Heir>,
}

/// The kind of access that a request needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Read,
    Write,
}

impl Tables {
    /// Carries out the request of a process.
    pub(crate) fn ask(&self, owners: &impl Owners, by: Pid, request: &[u8]) -> Bytes {
        match term::decode(request) {
            Ok(request) => self.carry_out(owners, by, request),
            Err(text) => reply::<()>(Err(TableError::new(Reason::BadRequest, text))),
        }
    }

    fn carry_out(&self, owners: &impl Owners, by: Pid, request: Request) -> Bytes {
        match request {
            Request::New(Options { name, kind, access, heir }) => {
                let entry =
                    Entry { rows: Arc::new(RwLock::new(Rows::new(kind))), name, access, owner: by, heir };
                reply(self.create(entry))
            }
            Request::Whereis { name } => reply(Ok(self.directory.read().by_name.get(&name).copied())),
            Request::Insert { table, key, value } => {
                reply(self.write(table, by, |rows| rows.insert(key, value)))
            }
            Request::InsertNew { table, key, value } => {
                reply(self.write(table, by, |rows| rows.insert_new(key, value)))
            }
            Request::Lookup { table, key } => reply(self.read(table, by, |rows| rows.get(&key))),
            Request::Take { table, key } => reply(self.write(table, by, |rows| rows.take(&key))),
            Request::Replace { table, key, old, new } => {
                reply(self.write(table, by, |rows| rows.replace(key, &old, new)))
            }
            Request::UpdateCounter { table, key, by: add, initial } => {
                reply(self.write(table, by, |rows| rows.count(key, add, initial)))
            }
            Request::Select { table, wanted } => reply(self.read(table, by, |rows| rows.select(&wanted))),
            Request::Clear { table } => reply(self.write(table, by, |rows| Ok(rows.clear()))),
            Request::Drop { table } => reply(self.remove(table, by)),
            Request::GiveAway { table, to, data } => reply(self.give_away(owners, table, by, to, data)),
            Request::SetHeir { table, heir } => reply(self.set_heir(table, by, heir)),
            Request::Size { table } => reply(self.read(table, by, |rows| Ok(rows.len()))),
        }
    }

    fn create(&self, entry: Entry) -> Result<TableId, TableError> {
        let id = TableId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let mut directory = self.directory.write();
        if let Some(name) = &entry.name {
            if let Some(holder) = directory.by_name.get(name) {
                let text = format!("the name {name:?} is taken by table {}", holder.0);
                return Err(TableError::new(Reason::NameTaken, text));
            }
            directory.by_name.insert(name.clone(), id);
        }
        directory.by_owner.entry(entry.owner).or_default().push(id);
        directory.entries.insert(id, entry);
        Ok(id)
    }

    /// Returns the rows if the process has this kind of access.
    fn rows(&self, id: TableId, by: Pid, to: To) -> Result<Arc<RwLock<Rows>>, TableError> {
        let directory = self.directory.read();
        let entry = directory.entry(id)?;
        let may = match entry.access {
            Access::Public => true,
            Access::Protected => to == To::Read || entry.owner == by,
            Access::Private => entry.owner == by,
        };
        if may {
            return Ok(Arc::clone(&entry.rows));
        }
        let access = format!("{:?}", entry.access).to_lowercase();
        let text = format!("table {} is {access} and belongs to {}", entry.called(id), entry.owner);
        Err(TableError::new(Reason::NoAccess, text))
    }

    fn read<R>(
        &self,
        id: TableId,
        by: Pid,
        work: impl FnOnce(&Rows) -> Result<R, TableError>,
    ) -> Result<R, TableError> {
        let rows = self.rows(id, by, To::Read)?;
        let rows = rows.read();
        work(&rows)
    }

    fn write<R>(
        &self,
        id: TableId,
        by: Pid,
        work: impl FnOnce(&mut Rows) -> Result<R, TableError>,
    ) -> Result<R, TableError> {
        let rows = self.rows(id, by, To::Write)?;
        let mut rows = rows.write();
        work(&mut rows)
    }

    fn remove(&self, id: TableId, by: Pid) -> Result<(), TableError> {
        let removed = {
            let mut directory = self.directory.write();
            directory.owned(id, by)?;
            directory.remove(id)
        };
        // A large table is dropped without holding the lock.
        drop(removed);
        Ok(())
    }

    fn set_heir(&self, id: TableId, by: Pid, heir: Option<Heir>) -> Result<(), TableError> {
        self.directory.write().owned(id, by)?.heir = heir;
        Ok(())
    }

    fn give_away(
        &self,
        owners: &impl Owners,
        id: TableId,
        by: Pid,
        to: Pid,
        data: ByteBuf,
    ) -> Result<(), TableError> {
        self.directory.write().owned(id, by)?;
        if !owners.is_alive(to) {
            return Err(TableError::new(Reason::NoProcess, format!("{to} is not alive")));
        }
        self.transfer(owners, id, Heir { pid: to, data });
        Ok(())
    }

    /// Makes a process the owner and notifies it. If that process has ended meanwhile, the table
    /// goes to its heir, or is dropped.
    fn transfer(&self, owners: &impl Owners, id: TableId, to: Heir) {
        let Heir { pid, data } = to;
        let Some(from) = self.directory.write().move_to(id, pid) else { return };
        let event = TableEvent::Transferred { table: id, from, data };
        owners.tell(pid, told(&event));
        if !owners.is_alive(pid) {
            self.forget(owners, pid);
        }
    }

    /// Drops the tables of a process that has ended, or hands them to their heirs.
    pub(crate) fn forget(&self, owners: &impl Owners, pid: Pid) {
        // Most processes own no table and must not contend for the write lock.
        if !self.directory.read().by_owner.contains_key(&pid) {
            return;
        }
        let owned = self.directory.read().by_owner.get(&pid).cloned().unwrap_or_default();
        for id in owned {
            // An heir inherits only once; otherwise two dead heirs could pass a table to each other
            // for ever.
            let heir = self.directory.write().entries.get_mut(&id).and_then(|entry| entry.heir.take());
            match heir {
                Some(heir) if heir.pid != pid && owners.is_alive(heir.pid) => self.transfer(owners, id, heir),
                _ => drop({
                    let mut directory = self.directory.write();
                    directory.remove(id)
                }),
            }
        }
    }

    /// Returns all tables in the order of their numbers.
    pub(crate) fn list(&self) -> Vec<TableInfo> {
        let directory = self.directory.read();
        let mut tables: Vec<_> = directory.entries.iter().map(|(id, entry)| entry.info(*id)).collect();
        tables.sort_by_key(|info| info.table);
        tables
    }
}

impl Directory {
    fn entry(&self, id: TableId) -> Result<&Entry, TableError> {
        self.entries.get(&id).ok_or_else(|| no_table(id))
    }

    /// Returns a table if the process owns it.
    fn owned(&mut self, id: TableId, by: Pid) -> Result<&mut Entry, TableError> {
        let entry = self.entries.get_mut(&id).ok_or_else(|| no_table(id))?;
        if entry.owner == by {
            return Ok(entry);
        }
        let text = format!("table {} belongs to {}", entry.called(id), entry.owner);
        Err(TableError::new(Reason::NotOwner, text))
    }

    fn remove(&mut self, id: TableId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        if let Some(name) = &entry.name {
            self.by_name.remove(name);
        }
        self.disown(id, entry.owner);
        Some(entry)
    }

    /// Makes a process the owner of a table, and returns the previous owner.
    fn move_to(&mut self, id: TableId, to: Pid) -> Option<Pid> {
        let from = std::mem::replace(&mut self.entries.get_mut(&id)?.owner, to);
        self.disown(id, from);
        self.by_owner.entry(to).or_default().push(id);
        Some(from)
    }

    fn disown(&mut self, id: TableId, owner: Pid) {
        if let Some(owned) = self.by_owner.get_mut(&owner) {
            owned.retain(|own| *own != id);
            if owned.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }
}

impl Entry {
    fn called(&self, id: TableId) -> String {
        self.name.clone().unwrap_or_else(|| id.0.to_string())
    }

    fn info(&self, table: TableId) -> TableInfo {
        let rows = self.rows.read();
        TableInfo {
            table,
            name: self.name.clone(),
            kind: rows.kind(),
            access: self.access,
            owner: self.owner,
            heir: self.heir.as_ref().map(|heir| heir.pid),
            rows: rows.len(),
            bytes: rows.bytes(),
        }
    }
}

fn no_table(id: TableId) -> TableError {
    TableError::new(Reason::NoTable, format!("there is no table {}", id.0))
}
