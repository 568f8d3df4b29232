//! What every settlement writes: its segments, and how far its fan-outs have got. One statement for all, which holds the lanes
//! as well; where an endpoint answers as it should, it is the only one of its transaction.

use provider::frontier::Place;
use provider::segment::Segment;
use store::StoreResult;
use tokio_postgres::Row;
use wire::FanOutId;

use super::Asked;
use crate::columns::{Id, List, list, number, values};
use crate::lanes::{Crossing, Keys, hold_sql, read_held};
use crate::outcome::{self, Fate, MARK, Mark, Witness};
use crate::session::{Pool, Session};

/// All that is written belongs to lanes that are held, whatever has changed until they were: rows of fan-outs are read anew
/// where they are written. A fan-out changes in place, as no index holds a cursor or a count of deliveries.
pub(crate) fn save_sql(crossing: Crossing) -> String {
    format!(
        "with held as materialized ({}),
         kept as (
             insert into segment (account, fan_out, first_participant, last_participant, entries, outcomes)
             select new.account, new.fan_out, new.first, new.last, new.entries, new.outcomes
             from unnest($4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bytea[])
                 as new (nth, account, fan_out, first, last, entries, outcomes)
             join held on held.nth = new.nth),
         moved as (
             update fan_out as f
             set cursor_participant = coalesce(got.participant, f.cursor_participant),
                 cursor_index = coalesce(got.place, f.cursor_index),
                 delivered = f.delivered + got.delivered, is_logged = f.is_logged or got.delivered > 0,
                 state = case when got.is_swept and f.state = 'running' then 'swept' else f.state end
             from unnest($11::bigint[], $12::bigint[], $13::bytea[], $14::bigint[], $15::bigint[], $16::bigint[],
                         $17::boolean[])
                 as got (nth, account, fan_out, participant, place, delivered, is_swept)
             join held on held.nth = got.nth
             where f.account = got.account and f.fan_out = got.fan_out)
         select held.nth, held.signal, {MARK} from held",
        hold_sql(crossing)
    )
}

/// Holds the lanes whose leases stand and writes their progress. Which are held, and the mark of the transaction where any is.
pub(super) async fn save(
    session: &Session,
    asked: &[Asked],
    crossing: Crossing,
) -> StoreResult<(Vec<(u64, u64)>, Option<Mark>)> {
    let leases: Vec<_> = asked.iter().map(|asked| asked.lease).collect();
    let keys = Keys::of(&leases);
    let segments: Vec<_> = numbered(asked).flat_map(|(nth, asked)| segments_of(nth, asked)).collect();
    let moves: Vec<_> = numbered(asked).flat_map(|(nth, asked)| moves_of(nth, asked)).collect();
    let values = values![
        keys.accounts,
        keys.endpoints,
        keys.epochs,
        List(segments.iter().map(|(nth, ..)| *nth).collect()),
        List(segments.iter().map(|(_, account, ..)| *account).collect()),
        List(segments.iter().map(|(.., fan_out, _)| fan_out.bytes()).collect()),
        List(segments.iter().map(|(.., segment)| segment.first.cast_signed()).collect()),
        List(segments.iter().map(|(.., segment)| segment.last.cast_signed()).collect()),
        List(segments.iter().map(|(.., segment)| i64::from(segment.count)).collect()),
        List(segments.iter().map(|(.., segment)| segment.bytes.as_slice()).collect()),
        List(moves.iter().map(|(nth, ..)| *nth).collect()),
        List(moves.iter().map(|(_, account, _)| *account).collect()),
        List(moves.iter().map(|(.., to)| to.fan_out.bytes()).collect()),
        List(moves.iter().map(|(.., to)| to.cursor.map(|place| place.participant.cast_signed())).collect::<Vec<_>>()),
        List(moves.iter().map(|(.., to)| to.cursor.map(|place| place.index.cast_signed())).collect::<Vec<_>>()),
        List(moves.iter().map(|(.., to)| to.delivered.cast_signed()).collect()),
        List(moves.iter().map(|(.., to)| to.is_swept).collect()),
    ];
    let read = |row: &Row| Ok((read_held(row)?, Mark::read(row, 2)?));
    let (held, mut marks): (Vec<_>, Vec<_>) =
        list(session, &save_sql(crossing), values, read).await?.into_iter().unzip();
    Ok((held, marks.pop()))
}

/// As SQL counts them.
fn numbered(asked: &[Asked]) -> impl Iterator<Item = (i64, &Asked)> {
    (1..).zip(asked)
}

fn segments_of(nth: i64, asked: &Asked) -> impl Iterator<Item = (i64, i64, FanOutId, &Segment)> {
    let account = number(asked.lease.account);
    asked.settlement.segments.iter().map(move |(fan_out, segment)| (nth, account, *fan_out, segment))
}

/// How far a fan-out has got.
struct Move {
    fan_out: FanOutId,
    cursor: Option<Place>,
    delivered: u64,
    is_swept: bool,
}

/// Each fan-out once: one statement may not change a row twice.
fn moves_of(nth: i64, asked: &Asked) -> impl Iterator<Item = (i64, i64, Move)> {
    let (account, settlement) = (number(asked.lease.account), &asked.settlement);
    let mut moves: Vec<Move> = Vec::new();
    for (fan_out, place) in &settlement.cursors {
        of(&mut moves, *fan_out).cursor = Some(*place);
    }
    for (fan_out, count) in &settlement.delivered {
        of(&mut moves, *fan_out).delivered += count;
    }
    for fan_out in &settlement.swept {
        of(&mut moves, *fan_out).is_swept = true;
    }
    moves.into_iter().map(move |to| (nth, account, to))
}

/// A lane has few fan-outs open at a time, so a list is searched faster than a map.
fn of(moves: &mut Vec<Move>, fan_out: FanOutId) -> &mut Move {
    let found = moves.iter().position(|to| to.fan_out == fan_out);
    let index = found.unwrap_or_else(|| {
        moves.push(Move { fan_out, cursor: None, delivered: 0, is_swept: false });
        moves.len() - 1
    });
    &mut moves[index]
}

/// What became of the transaction that wrote for these. A segment is its witness: the attempts and times in it are those of no
/// other commit. What has none is small, and safe to read anew.
pub(super) async fn find_out<'a>(pool: &Pool, mark: &Mark, ours: impl Iterator<Item = &'a Asked>) -> Fate {
    let Some((_, account, fan_out, segment)) = ours.flat_map(|asked| segments_of(0, asked)).next() else {
        return outcome::find_out(pool, mark, None).await;
    };
    let sql = "select 1 from segment where account = $1 and fan_out = $2 and last_participant = $3
        and first_participant = $4 and outcomes = $5";
    let (first, last) = (segment.first.cast_signed(), segment.last.cast_signed());
    let values = values![account, fan_out.bytes(), last, first, segment.bytes.as_slice()];
    outcome::find_out(pool, mark, Some(Witness { sql, values })).await
}
