//! A database that a copy goes into, chunk by chunk. Each transaction holds rows and how far the copy has come with them.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::date;
use jiff::{Span, ToSpan};
use store::{
    COPIED_TABLES, CopiedRow, CopiedTable, CopyPlace, CopyRefusal, CopyTo, FailPoint, StoreError, StoreResult,
};
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use super::cells::Written;
use super::from::CopyOpenError;
use super::{
    COPY_APPLICATION, COPYING, HAS_BEGUN, NO_TIME_LIMITS, connect, count, days, list, query, quoted, refuse_served,
};
use crate::columns::broken;
use crate::migrate;
use crate::open::Address;
use crate::partitions::partition;
use crate::session::Pool;

/// Rows keep the numbers they have, and what comes next is numbered behind them.
const NUMBER_BEHIND: [&str; 2] = [
    "select setval(pg_get_serial_sequence('audit', 'entry'), max(entry)) from audit having max(entry) is not null",
    "select setval(pg_get_serial_sequence('segment', 'segment'), max(segment)) from segment
     having max(segment) is not null",
];
/// Tables whose rows triggers count elsewhere: the counts are copied with the rows that they are counts of. Unlike
/// `session_replication_role`, leaving triggers out of a transaction is for the owner of a table to decide.
const COUNTED: [&str; 2] = ["exception", "run"];
const COUNT_MESSAGES: &str = "insert into message_counter (account, newest) values ($1, $2)";

/// See [`CopyTo`].
pub struct CopyToPostgres {
    client: Client,
    address: Address,
}

impl CopyToPostgres {
    /// Opens a database that no node serves from, making its tables where it has none. Older ones are left as they are.
    pub async fn open(address: &Address) -> Result<CopyToPostgres, CopyOpenError> {
        migrate::make(&Pool::new(&address.named(COPY_APPLICATION), Arc::default())?, address).await?;
        let client = connect(address).await?;
        refuse_served(&client, address).await?;
        Ok(CopyToPostgres { client, address: address.clone() })
    }

    /// One transaction. What fails in it is taken back.
    async fn transact<T, E: From<StoreError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.execute(&format!("begin; {NO_TIME_LIMITS}")).await?;
        let done = work.await;
        match &done {
            Ok(_) => self.execute("commit").await?,
            // What went wrong says more than what may go wrong now.
            Err(_) => self.execute("rollback").await.unwrap_or_default(),
        }
        done
    }

    async fn execute(&self, sql: &str) -> StoreResult<()> {
        self.client.batch_execute(sql).await.map_err(|error| broken(&error))
    }

    async fn find_begun(&self, mark: &str) -> Result<CopyPlace, CopyRefusal> {
        let sql = "select tables, after_key, rows_done, mark, origin from copying";
        let rows = query(&self.client, sql, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::broken("the table copying is empty"))?;
        if row.get::<_, &str>(3) != mark {
            return Err(CopyRefusal::OtherOrigin { target: self.address.to_string(), origin: row.get(4) });
        }
        let place = CopyPlace::read(row.get(0), row.get(1), row.get(2));
        Ok(place.ok_or_else(|| StoreError::broken("the table copying does not hold what it should"))?)
    }

    async fn begin_anew(&self, origin: &str, mark: &str) -> Result<CopyPlace, CopyRefusal> {
        for table in COPIED_TABLES {
            let sql = format!("select 1 from {} limit 1", quoted(table.name));
            if !query(&self.client, &sql, &[]).await?.is_empty() {
                return Err(CopyRefusal::NotEmpty { target: self.address.to_string(), table: table.name });
            }
        }
        self.execute(COPYING).await?;
        let sql = "insert into copying (origin, mark, tables, rows_done) values ($1, $2, 0, 0)";
        query(&self.client, sql, &[(&origin, Type::TEXT), (&mark, Type::TEXT)]).await?;
        Ok(CopyPlace::default())
    }

    /// Notes how far the copy has come, if it stands where this process believes.
    async fn note(&self, place: &CopyPlace, rows: u64) -> StoreResult<()> {
        let sql = "update copying set tables = $1, after_key = $2, rows_done = $3 where rows_done = $4";
        let (tables, after) = (place.tables as i64, place.after_in_text());
        let (done, before) = (place.rows.cast_signed(), (place.rows - rows).cast_signed());
        let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
            [(&tables, Type::INT8), (&after, Type::TEXT), (&done, Type::INT8), (&before, Type::INT8)];
        let changed = self.client.execute_typed(sql, &values).await.map_err(|error| broken(&error))?;
        match changed {
            1 => Ok(()),
            _ => Err(StoreError::broken(format!("another copy into {} is at work", self.address))),
        }
    }

    /// Writes rows without counting them.
    async fn insert(&self, table: &CopiedTable, rows: &[CopiedRow]) -> StoreResult<()> {
        let (name, columns) = (quoted(table.name), list(table.columns));
        let is_counted = COUNTED.contains(&table.name);
        if is_counted {
            self.execute(&format!("alter table {name} disable trigger user")).await?;
        }
        self.write_binary(&name, &columns, rows).await.map_err(|error| {
            let told = broken(&error);
            StoreError::broken(format!("a row of table {} cannot be copied: {told}", table.name))
        })?;
        if is_counted {
            self.execute(&format!("alter table {name} enable trigger user")).await?;
        }
        Ok(())
    }

    async fn write_binary(&self, table: &str, columns: &str, rows: &[CopiedRow]) -> Result<(), tokio_postgres::Error> {
        let types: Vec<Type> = self
            .client
            .prepare(&format!("select {columns} from {table} limit 0"))
            .await?
            .columns()
            .iter()
            .map(|column| column.type_().clone())
            .collect();
        let sink = self.client.copy_in(&format!("copy {table} ({columns}) from stdin (format binary)")).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in rows {
            let cells: Vec<Written<'_>> = row.iter().map(Written).collect();
            writer.as_mut().write_raw(&cells).await?;
        }
        writer.finish().await.map(drop)
    }

    /// Makes the partitions of these days where they are missing.
    async fn make_room(&self, table: &CopiedTable, days: &[i64]) -> StoreResult<()> {
        for day in days {
            let begin = Span::new()
                .try_days(*day)
                .and_then(|days| date(1970, 1, 1).checked_add(days))
                .map_err(StoreError::broken)?;
            let end = begin.checked_add(1.day()).map_err(StoreError::broken)?;
            let (name, of) = (partition(table.name, begin), table.name);
            let sql =
                format!("create table if not exists {name} partition of {of} for values from ('{begin}') to ('{end}')");
            self.execute(&sql).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl CopyTo for CopyToPostgres {
    async fn begin(&mut self, origin: &str, mark: &str) -> Result<CopyPlace, CopyRefusal> {
        let begun = query(&self.client, HAS_BEGUN, &[]).await?;
        match begun.first().is_some_and(|row| row.get(0)) {
            true => self.find_begun(mark).await,
            false => self.transact(self.begin_anew(origin, mark)).await,
        }
    }

    async fn write(
        &mut self,
        table: &'static CopiedTable,
        mut rows: Vec<CopiedRow>,
        place: &CopyPlace,
    ) -> StoreResult<()> {
        let days = days::fill(table, &mut rows)?;
        self.transact(async {
            self.note(place, rows.len() as u64).await?;
            self.make_room(table, &days).await?;
            self.insert(table, &rows).await?;
            FailPoint::BatchBeforeCommit.pass();
            Ok::<_, StoreError>(())
        })
        .await?;
        FailPoint::BatchAfterCommit.pass();
        Ok(())
    }

    async fn count(&mut self, table: &'static CopiedTable) -> StoreResult<u64> {
        self.transact(count(&self.client, table)).await
    }

    async fn complete(&mut self, newest_messages: &[(i64, i64)]) -> StoreResult<()> {
        // Plans are made for tables as they are now, not for empty ones.
        self.transact(self.execute("analyze")).await?;
        self.transact(async {
            for sql in NUMBER_BEHIND {
                query(&self.client, sql, &[]).await?;
            }
            for (account, newest) in newest_messages {
                query(&self.client, COUNT_MESSAGES, &[(account, Type::INT8), (newest, Type::INT8)]).await?;
            }
            self.execute("drop table copying").await
        })
        .await
    }
}
