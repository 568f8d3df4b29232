//! What a page of a large audience costs: as much at the end as at the beginning, whatever the planner believes of tables
//! that have just been filled.

use store::StoreResult;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::TestDatabase;
use crate::audience::{count_sql, page_of_people_sql};

const PEOPLE: u32 = 20_000;
const PAGE: u32 = 256;
/// Blocks more that a page may read where its people lie less closely.
const SLACK: u64 = 200;

/// Teams and excluded ones.
const SHAPES: [(usize, usize); 4] = [(1, 0), (3, 0), (3, 1), (101, 0)];

#[tokio::test]
async fn a_page_is_walked_in_the_order_of_its_index_at_the_end_as_at_the_beginning() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let plans = Plans::on_a_crowd(&database).await;
    for planner in ["force_generic_plan", "force_custom_plan"] {
        for (teams, excluded) in SHAPES {
            let sql = page_of_people_sql(teams, excluded);
            let first = plans.of(planner, &sql, &arguments(teams, 0)).await;
            let last = plans.of(planner, &sql, &arguments(teams, PEOPLE - PAGE)).await;
            for plan in [&first, &last] {
                plan.goes_by(&["Index Scan using membership_pkey", "Index Scan using participant_pkey"]);
            }
            assert!(
                last.blocks <= first.blocks + SLACK,
                "{} after {} blocks\n{}",
                last.blocks,
                first.blocks,
                last.text
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_audience_is_counted_by_merging_its_teams() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let plans = Plans::on_a_crowd(&database).await;
    for (teams, excluded) in [(1, 0), (3, 0), (3, 1)] {
        let plan = plans.of("force_generic_plan", &count_sql(teams, excluded), &arguments(teams, 0)).await;
        plan.goes_by(&["Index Scan using membership_pkey"]);
    }
    Ok(())
}

/// `$1` to `$6`: the first team has everyone, the second a third of them, the others a few; the second is excluded.
fn arguments(teams: usize, after: u32) -> String {
    let team = |nth: usize| format!("'\\x6d{nth:024x}'::bytea");
    let teams: Vec<String> = (1..=teams).map(team).collect();
    format!("1, 1, {after}, array[{}], array[{}], {PAGE}", teams.join(","), team(2))
}

/// A connection to a database in which one account has many people.
struct Plans {
    client: Client,
}

struct Plan {
    text: String,
    blocks: u64,
}

impl Plans {
    async fn on_a_crowd(database: &TestDatabase) -> Plans {
        let (client, connection) = database.address().config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let fill = format!(
            "insert into participant (account, participant, name, email)
                 select 1, n, 'P', 'p' || n || '@example.com' from generate_series(1, {PEOPLE}) as n;
             insert into membership (account, team, participant, joined)
                 select 1, decode('6d' || lpad(to_hex(team), 24, '0'), 'hex'), n, 1
                 from generate_series(1, {PEOPLE}) as n, generate_series(1, 101) as team
                 where team = 1 or (team = 2 and n % 3 = 0) or n % 1009 = team;"
        );
        client.batch_execute(&fill).await.unwrap();
        Plans { client }
    }

    /// How the server goes about a query: it may neither walk through a table nor sort.
    async fn of(&self, planner: &str, sql: &str, arguments: &str) -> Plan {
        let asked = format!(
            "set plan_cache_mode = {planner}; deallocate all;
             prepare asked (bigint, bigint, bigint, bytea[], bytea[], bigint) as {sql};
             explain (analyze, buffers, costs off, timing off, summary off) execute asked ({arguments})"
        );
        let lines = self.client.simple_query(&asked).await.unwrap().into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        for step in ["Seq Scan", "Sort  (", "Hash", "Bitmap"] {
            assert!(!text.contains(step), "{step} in {text}\n of {sql}");
        }
        let hits = text.split("shared hit=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let blocks = hits.and_then(|hits| hits.parse().ok()).unwrap_or_default();
        Plan { text, blocks }
    }
}

impl Plan {
    fn goes_by(&self, ways: &[&str]) {
        for way in ways {
            assert!(self.text.contains(way), "{way} in {}", self.text);
        }
    }
}
