-- The schema of the SQLite store, table for table and column for column, in PostgreSQL's types.
-- Every key leads with the account, so that all of it can be sharded by account. Three tables are found by something else
-- first, because a request names nothing else: api_key, source (by its id) and calendar.
-- Times are Unix milliseconds; wall times are text (`2024-03-15T15:30:00`); ids are their bytes.

create table account (
    account bigint primary key,
    name text not null,
    timezone text not null,
    created_at bigint not null,
    -- Rises with each change of the roster: events freeze their audience by it.
    revision bigint not null default 0,
    participants bigint not null default 0,
    events bigint not null default 0
);

create table api_key (
    public_id text primary key,
    account bigint not null references account,
    hash bytea not null check (octet_length(hash) = 32),
    -- Names with a space between them.
    scopes text not null check (scopes <> ''),
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    -- To the hour or so: a request costs no write.
    last_used_at bigint
);
create index api_key_by_account on api_key (account, created_at); -- listing an account's keys

-- How long an account keeps what, in days; an account without a row keeps to the defaults.
create table retention (
    account bigint primary key references account,
    bodies_days bigint not null,
    log_days bigint not null,
    metadata_days bigint not null
);

-- Who did what to an account. Written in the transaction of the act itself, and never changed.
create table audit (
    entry bigint generated always as identity,
    account bigint not null references account,
    at bigint not null,
    actor text not null,
    source_address text,
    act text not null,
    object text not null,
    primary key (account, entry)
);
create function audit_is_only_added_to() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is only ever added to';
end $$;
create trigger audit_is_not_changed before update or delete on audit
    for each row execute function audit_is_only_added_to();

create table mango (
    account bigint not null references account,
    mango bytea not null check (octet_length(mango) = 12),
    name text not null,
    created_at bigint not null,
    primary key (account, mango)
);

create table participant (
    account bigint not null,
    participant bigint not null,
    name text not null,
    email text not null,
    phone text,
    timezone text,
    attributes text,
    primary key (account, participant)
);
create unique index participant_by_email on participant (account, lower(email collate "C")); -- one address is one person: enrolling

-- `team` is 'm' and a mango's id, or 's' and a series' id (people registered for it).
-- A membership holds from the revision `joined` on, and before the revision `ended`.
create table membership (
    account bigint not null,
    team bytea not null check (octet_length(team) = 13),
    participant bigint not null,
    joined bigint not null,
    ended bigint check (ended > joined),
    primary key (account, team, participant, joined)
);
create index membership_by_participant on membership (account, participant, team); -- exclusions, one person's teams
create index membership_ended on membership (account, ended) where ended is not null; -- pruning

create table series (
    account bigint not null references account,
    series bytea not null check (octet_length(series) = 12),
    version bigint not null check (version > 0),
    created_at bigint not null,
    cancelled_at bigint,
    -- When its last session is over, as announced, and the tz databases by which it was announced and that its sessions
    -- were last compared with: a newer one may move them.
    ends_at bigint not null,
    tzdb_announced text not null,
    tzdb_compared text not null,
    primary key (account, series)
);
create index series_to_compare on series (ends_at, account, series, tzdb_compared); -- what a newer tz database may move

create table series_version (
    account bigint not null,
    series bytea not null,
    version bigint not null,
    draft text not null check (draft::json is not null),
    saved_at bigint not null,
    primary key (account, series, version)
);

-- Upcoming sessions as wall time and zone: rules of zones change. The instant and offset (seconds) that were announced
-- stand beside, so that such a change is noticed.
create table session (
    account bigint not null,
    session bytea not null check (octet_length(session) = 12),
    series bytea not null,
    original_start text not null,
    start text not null,
    timezone text not null,
    duration_minutes bigint not null,
    state text not null check (state in ('scheduled', 'cancelled', 'removed')),
    announced_at bigint not null,
    announced_offset bigint not null,
    primary key (account, session)
);
create index session_by_series on session (account, series); -- marking the removed ones at a save

create table event (
    account bigint not null references account,
    event bytea not null check (octet_length(event) = 16),
    type text not null,
    cause text not null check (cause in ('created', 'updated')),
    series bytea not null,
    version bigint not null,
    title text not null,
    mangoes bytea not null check (octet_length(mangoes) % 12 = 0),
    excluded bytea not null check (length(excluded) % 12 = 0),
    revision bigint not null,
    -- The numbers of the few whom an event to late registrants concerns; null for the whole audience.
    listed bigint[],
    series_part bytea not null,
    attendee_instant bigint,
    tzdb_version text not null,
    created_at bigint not null,
    -- Counted by the first lane that comes to it, not by the save.
    audience bigint,
    primary key (account, event)
);
-- Payloads are read once for each lane that opens them, and compressing them takes longer than reading them.
alter table event alter column series_part set storage external;
create index event_by_age on event (account, created_at); -- pruning
create index event_by_revision on event (account, revision); -- which members an audience may still need

create table endpoint (
    account bigint not null references account,
    endpoint bytea not null check (octet_length(endpoint) = 16),
    url text not null,
    switch text not null default 'on' check (switch in ('on', 'paused')),
    -- Requests a minute its owner allows; null for as many as the receiver takes.
    rate_per_minute bigint check (rate_per_minute > 0),
    burst bigint check (burst > 0 and (burst is null) = (rate_per_minute is null)),
    concurrency_max bigint not null default 64 check (concurrency_max between 1 and 256),
    older_versions text not null default 'deliver' check (older_versions in ('deliver', 'supersede')),
    created_at bigint not null,
    primary key (account, endpoint)
);
create unique index endpoint_by_url on endpoint (account, url); -- subscribing the same URL again

-- Sealed text opens in its own row only (`store::Vault`).
create table endpoint_secret (
    account bigint not null,
    endpoint bytea not null,
    -- Rises with each rotation; clocks may not.
    number bigint not null check (number > 0),
    sealed text not null check (sealed like 's1.%'),
    created_at bigint not null,
    -- Null for the newest alone, which the others sign beside until then.
    valid_until bigint,
    primary key (account, endpoint, number)
);
create unique index endpoint_secret_newest on endpoint_secret (account, endpoint) where valid_until is null; -- one newest
create index endpoint_secret_expiring on endpoint_secret (valid_until) where valid_until is not null; -- removing the expired

-- The keys under which anything may be sealed here, of all accounts: a process that lacks one of them is refused at its
-- start, and only a server's start may add one, so that a running server can open whatever is sealed beside it.
create table sealing_key (
    key_id text primary key check (length(key_id) = 8)
);

create table subscription (
    account bigint not null references account,
    subscription bytea not null check (octet_length(subscription) = 16),
    endpoint bytea not null,
    event_type text not null,
    -- Empty for all webinars: two nulls would not be the same subscription.
    webinar bytea not null check (octet_length(webinar) in (0, 12)),
    created_at bigint not null,
    primary key (account, subscription)
);
create unique index subscription_once on subscription (account, event_type, endpoint, webinar); -- subscribing the same twice

create table lane (
    account bigint not null,
    endpoint bytea not null,
    health text not null default 'healthy' check (health in ('healthy', 'slow_start', 'open', 'gone', 'disabled')),
    failures bigint not null default 0,
    slow_window bigint check ((slow_window is not null) = (health = 'slow_start')),
    open_until bigint check ((open_until is not null) = (health = 'open')),
    failing_since bigint check ((failing_since is not null) = (health = 'open')),
    ended_since bigint check ((ended_since is not null) = (health in ('gone', 'disabled'))),
    last_failure_at bigint,
    last_failure text check ((last_failure is not null) = (last_failure_at is not null)),
    -- The earliest moment at which there is something to do; null while there is nothing.
    due_at bigint,
    owner bytea,
    lease_until bigint,
    epoch bigint not null default 0,
    -- Rises with every order of the owner that a lane at work must hear of.
    signal bigint not null default 0,
    -- First attempts a minute lately.
    per_minute bigint,
    primary key (account, endpoint)
) with (fillfactor = 50);
create index lane_due on lane (due_at) where due_at is not null; -- claiming
-- Claims, renewals and cursors change rows in place, where a page has room for the new version beside the old one.

create table fan_out (
    account bigint not null,
    fan_out bytea not null check (octet_length(fan_out) = 16),
    event bytea not null,
    endpoint bytea not null,
    -- The number of its event in the account: two versions saved within a millisecond are still sent in order.
    position bigint not null,
    -- Those of its event, for the question whether somebody has a newer version already.
    series bytea not null,
    version bigint not null,
    state text not null default 'running' check (state in ('running', 'paused', 'swept', 'superseded', 'skipped')),
    cursor_participant bigint not null default 0,
    cursor_index bigint not null default 0,
    delivered bigint not null default 0,
    retrying bigint not null default 0,
    held bigint not null default 0,
    abandoned bigint not null default 0,
    called_off bigint not null default 0,
    erased bigint not null default 0,
    created_at bigint not null,
    -- Whether its deliveries are kept one by one; later only the counts above are.
    is_logged boolean not null default true,
    -- Outcomes that ended before this are in the log no more. Their rows go with their day.
    logged_since bigint not null default 0,
    -- Of a replay: the fan-out whose message ids it repeats, the few it is for, and its pace.
    replay bytea,
    origin bytea check ((origin is null) = (replay is null)),
    listed bigint[] check (listed is null or replay is not null),
    per_minute bigint check (per_minute is null or (per_minute > 0 and replay is not null)),
    -- Sent although the endpoint was told of a newer version: its owner wants it so.
    even_if_outdated boolean not null default false check (replay is not null or not even_if_outdated),
    primary key (account, fan_out)
) with (fillfactor = 50);
create index fan_out_running on fan_out (account, endpoint, position) where state = 'running'; -- a lane's work
create index fan_out_waiting on fan_out (account, endpoint) -- what an owner may drop
    where state in ('running', 'paused') or retrying > 0 or held > 0;
create index fan_out_by_series on fan_out (account, endpoint, series, version); -- newer and older versions
create index fan_out_replayed on fan_out (account, endpoint, series, version) -- replays of older versions
    where replay is not null;
create index fan_out_out_of_line on fan_out (account, endpoint) -- rows that do not agree with their fan-out's state
    where (state in ('running', 'swept') and held > 0) or (state = 'paused' and retrying > 0)
    or (state in ('superseded', 'skipped') and retrying + held > 0);
create index fan_out_failed on fan_out (account, endpoint) where abandoned > 0 or retrying > 0; -- what may be replayed
create index fan_out_by_replay on fan_out (account, replay) where replay is not null; -- a replay's progress, steering it
create index fan_out_by_event on fan_out (account, event); -- an event's progress
create index fan_out_logged on fan_out (account, created_at) where is_logged; -- pruning the log

-- The deliveries that did not simply succeed. All others live in segments only.
create table exception (
    account bigint not null,
    fan_out bytea not null,
    participant bigint not null,
    place bigint not null,
    endpoint bytea not null,
    state text not null check (state in ('retrying', 'held', 'abandoned', 'superseded', 'skipped', 'erased')),
    due_at bigint check ((due_at is not null) = (state = 'retrying')),
    -- Of the attempt to come while retrying or held, of the last one afterwards.
    attempt bigint not null check (attempt between 0 and 65535),
    -- How many attempts have counted against the delivery's own schedule.
    charged bigint not null default 0,
    last_outcome bigint,
    last_at bigint,
    -- The replay that has put it into the queue again.
    replay bytea,
    primary key (account, fan_out, participant),
    -- A row of which the fan-out is gone would keep its lane due for ever.
    foreign key (account, fan_out) references fan_out
);
create index exception_due on exception (account, endpoint, due_at, fan_out, participant) -- a lane's retries, in their order
    where due_at is not null;
create index exception_by_person on exception (account, participant) where state in ('retrying', 'held'); -- erasing somebody

create index exception_unfinished on exception (account, fan_out) where state in ('retrying', 'held'); -- calling off

create index exception_replayed on exception (account, replay, endpoint, state, charged) -- a replay's progress and queue
    where replay is not null;

-- Counts are kept once for each statement, however many rows it changed.
create function exceptions_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update fan_out as f
        set retrying = f.retrying + c.retrying, held = f.held + c.held, abandoned = f.abandoned + c.abandoned,
            called_off = f.called_off + c.called_off, erased = f.erased + c.erased, is_logged = true
        from (
            select account, fan_out,
                count(*) filter (where state = 'retrying') as retrying, count(*) filter (where state = 'held') as held,
                count(*) filter (where state = 'abandoned') as abandoned,
                count(*) filter (where state in ('superseded', 'skipped')) as called_off,
                count(*) filter (where state = 'erased') as erased
            from added group by account, fan_out) as c
        where f.account = c.account and f.fan_out = c.fan_out;
    elsif tg_op = 'DELETE' then
        update fan_out as f
        set retrying = f.retrying - c.retrying, held = f.held - c.held, abandoned = f.abandoned - c.abandoned,
            called_off = f.called_off - c.called_off, erased = f.erased - c.erased
        from (
            select account, fan_out,
                count(*) filter (where state = 'retrying') as retrying, count(*) filter (where state = 'held') as held,
                count(*) filter (where state = 'abandoned') as abandoned,
                count(*) filter (where state in ('superseded', 'skipped')) as called_off,
                count(*) filter (where state = 'erased') as erased
            from gone group by account, fan_out) as c
        where f.account = c.account and f.fan_out = c.fan_out;
    else
        update fan_out as f
        set retrying = f.retrying + c.retrying, held = f.held + c.held, abandoned = f.abandoned + c.abandoned,
            called_off = f.called_off + c.called_off, erased = f.erased + c.erased
        from (
            select account, fan_out,
                sum(case state when 'retrying' then n else 0 end) as retrying,
                sum(case state when 'held' then n else 0 end) as held,
                sum(case state when 'abandoned' then n else 0 end) as abandoned,
                sum(case when state in ('superseded', 'skipped') then n else 0 end) as called_off,
                sum(case state when 'erased' then n else 0 end) as erased
            from (select account, fan_out, state, 1 as n from added
                  union all select account, fan_out, state, -1 from gone) as both_sides
            group by account, fan_out) as c
        where f.account = c.account and f.fan_out = c.fan_out
        and (c.retrying, c.held, c.abandoned, c.called_off, c.erased) <> (0, 0, 0, 0, 0);
    end if;
    return null;
end $$;
create trigger exception_added after insert on exception
    referencing new table as added for each statement execute function exceptions_counted();
create trigger exception_changed after update on exception
    referencing old table as gone new table as added for each statement execute function exceptions_counted();
create trigger exception_removed after delete on exception
    referencing old table as gone for each statement execute function exceptions_counted();

-- Deliveries that are sent again, as their owner has ordered. One that revives works through rows of `exception` and
-- keeps its own counts; the progress of one that resends is that of its fan-outs.
create table replay (
    account bigint not null references account,
    replay bytea not null check (octet_length(replay) = 16),
    scope text not null check (scope in ('delivery', 'failed', 'event')),
    event bytea check (scope <> 'event' or event is not null),
    endpoint bytea,
    since bigint check (since is null or scope = 'failed'),
    fan_out bytea check ((fan_out is not null) = (scope = 'delivery')),
    participant bigint check ((participant is not null) = (scope = 'delivery')),
    way text not null check (way in ('revive', 'resend')),
    state text not null default 'running' check (state in ('running', 'paused', 'cancelled', 'done')),
    per_minute bigint check (per_minute > 0),
    counted bigint not null,
    begun bigint not null default 0,
    delivered bigint not null default 0,
    cursor_fan_out bytea not null default ''::bytea,
    cursor_participant bigint not null default 0,
    next_at bigint not null,
    created_at bigint not null,
    primary key (account, replay)
) with (fillfactor = 50);
-- Turns. Not by their time: one at work changes it several times a second, in place as long as no index holds it.
create index replay_at_work on replay (account, replay) where state = 'running' and way = 'revive';
create index replay_open on replay (account) where state in ('running', 'paused'); -- how many are under way

-- The outcomes of one commit of a lane, packed by `provider::segment`. One partition for each day (UTC) on which commits
-- were made, dropped whole once the log of that day has expired for everybody; days without one go to the last.
create table segment (
    account bigint not null,
    fan_out bytea not null,
    day date not null default (now() at time zone 'utc')::date,
    segment bigint generated always as identity,
    first_participant bigint not null,
    last_participant bigint not null check (last_participant >= first_participant),
    entries bigint not null check (entries > 0),
    outcomes bytea not null
) partition by range (day);
create table segment_other partition of segment default;
alter table segment alter column outcomes set storage external;
-- One delivery of a fan-out; the log of a fan-out in falling order; what a crash left beyond the cursor.
create index segment_by_range on segment (account, fan_out, last_participant, first_participant);

-- What is kept of attempts that failed, beside the outcome in their segment; those that succeed have no row.
-- Read with the delivery it belongs to, and with the row of the exception whose last attempt it was.
create table attempt_failure (
    account bigint not null,
    fan_out bytea not null,
    day date not null default (now() at time zone 'utc')::date,
    participant bigint not null,
    attempt bigint not null,
    -- After a crash an attempt may be made again under its number.
    finished_at bigint not null,
    -- Microseconds, null for a phase that did not happen or did not end.
    dns bigint,
    connect bigint,
    tls bigint,
    first_byte bigint,
    total bigint not null,
    reused boolean not null,
    reason text not null check (length(reason) between 1 and 240),
    primary key (account, fan_out, participant, attempt, finished_at, day)
) partition by range (day);
create table attempt_failure_other partition of attempt_failure default;

-- What an account's owner is told. `subject` is the endpoint or the series it is about.
create table notice (
    account bigint not null references account,
    notice bytea not null check (octet_length(notice) = 16),
    kind text not null check (kind in ('endpoint.disabled', 'rules.changed')),
    subject bytea not null check (octet_length(subject) = case kind when 'endpoint.disabled' then 16 else 12 end),
    details text not null check (details::json is not null),
    created_at bigint not null,
    read_at bigint,
    primary key (account, notice)
);
create index notice_by_subject on notice (account, kind, subject, notice); -- what was said of it last
create index notice_unread on notice (account) where read_at is null; -- counting them

-- A notice on its way to one endpoint. Whoever takes it moves `due_at` on to when another may, and `epoch` up.
create table notice_delivery (
    account bigint not null,
    notice bytea not null,
    endpoint bytea not null,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'abandoned')),
    due_at bigint check ((due_at is not null) = (state = 'waiting')),
    attempts bigint not null default 0,
    last_outcome bigint,
    last_at bigint check ((last_at is not null) = (last_outcome is not null)),
    epoch bigint not null default 0,
    primary key (account, notice, endpoint)
);
create index notice_delivery_due on notice_delivery (due_at) where due_at is not null; -- claiming

create table source (
    account bigint not null references account,
    source bytea not null check (octet_length(source) = 16),
    name text not null,
    preset text not null check (preset <> ''),
    sealed_keys text not null check (sealed_keys like 's1.%'),
    created_at bigint not null,
    primary key (account, source)
);
create unique index source_by_id on source (source); -- an incoming request names the source alone

-- The number of an account's newest message. It is taken under the lock of this row, so that numbers rise in the order in
-- which messages can be seen: a handler's cursor never passes one that is still being committed.
create table message_counter (
    account bigint primary key references account,
    newest bigint not null
) with (fillfactor = 50);

create table message (
    account bigint not null,
    number bigint not null,
    source bytea not null,
    dedupe_key bytea not null,
    digest bytea not null check (octet_length(digest) = 16),
    message_id text,
    headers text not null,
    received_at bigint not null,
    -- Why body and headers are gone, where they are.
    emptied text check (emptied in ('erased', 'expired')),
    -- Which of how many webhooks of its sender's fan-out it is, where the sender says so.
    fan_out bytea check (octet_length(fan_out) = 16),
    fan_out_index bigint check ((fan_out_index is null) = (fan_out is null)),
    fan_out_total bigint check ((fan_out_total is null) = (fan_out is null)),
    body bytea not null,
    check (emptied is null or (headers = '' and body = ''::bytea)),
    -- Lists of a time or a source read no more than this.
    primary key (account, number) include (received_at, source)
);
-- Bodies are written once and read once or twice, and compressing them takes longer than that.
alter table message alter column body set storage external;
create index message_by_fan_out on message (account, fan_out, fan_out_index, fan_out_total) -- what is missing of a fan-out
    where fan_out is not null;

-- Where a repetition is looked for: a hash of source and slot, and the newest message there. It decides nothing: that
-- message is compared. One row for each slot: the second of two transactions that bring the same waits for the first.
create table message_seen (
    account bigint not null,
    fingerprint bigint not null,
    number bigint not null,
    primary key (account, fingerprint)
);

-- The sweep that takes old rows out of an account's `message_seen`. They lie in the order of their hashes, so old ones are
-- everywhere: a sweep walks through all of them.
create table message_seen_sweep (
    account bigint primary key references account,
    -- How far the sweep is; null while none is under way.
    position bigint,
    -- Keys of messages before this number go with the sweep; before `swept` they went with those before it.
    below bigint not null check (below >= swept),
    swept bigint not null,
    -- When it is to be looked at whether another one is worth it.
    look_at bigint not null
);
create index message_seen_sweep_under_way on message_seen_sweep (account) where position is not null; -- going on

-- The number of an account's first message that came at a time or later, found by halving: numbers rise with time, but for
-- steps of clocks. Up to `newest` there may be numbers whose messages are gone.
create function message_first_since(of_account bigint, time_ms bigint, newest bigint) returns bigint
language plpgsql stable as $$
declare
    low bigint := 0;
    high bigint := newest + 1;
    middle bigint;
    next_one record;
begin
    while low < high loop
        middle := low + (high - low) / 2;
        select number, received_at into next_one from message
            where account = of_account and number >= middle order by number limit 1;
        if found and next_one.received_at < time_ms then
            low := next_one.number + 1;
        else
            high := middle;
        end if;
    end loop;
    return low;
end $$;

-- Only messages that came more than once have a row.
create table message_duplicate (
    account bigint not null,
    number bigint not null,
    copies bigint not null,
    conflicts bigint not null,
    last_at bigint not null,
    primary key (account, number)
);

-- A handler's place in the inbox: everything up to `cursor` is settled or has a row in `run`.
create table handler (
    account bigint not null references account,
    -- Counted from 1 in each account, so that rows of runs are short.
    handler bigint not null check (handler > 0),
    name text not null check (name <> ''),
    cursor bigint not null,
    owner bytea,
    lease_until bigint,
    epoch bigint not null default 0,
    waiting bigint not null default 0,
    done bigint not null default 0,
    skipped bigint not null default 0,
    parked bigint not null default 0,
    primary key (account, handler)
) with (fillfactor = 50);
create unique index handler_by_name on handler (account, name); -- a name is one handler

-- What a handler has begun, or was asked for by an order. A message that it passed over has no row.
create table run (
    account bigint not null,
    handler bigint not null,
    number bigint not null,
    -- 0 waiting, 1 done, 2 skipped, 3 parked.
    state smallint not null check (state between 0 and 3),
    attempts bigint not null,
    generation bigint not null,
    changed_at bigint not null,
    due_at bigint check ((due_at is not null) = (state = 0)),
    -- Why the last attempt failed; of what is skipped the name of the reason.
    reason text check ((reason is null) = (state = 1) and (state <> 2 or reason in ('outdated', 'content_gone', 'dropped'))),
    primary key (account, handler, number)
);
create index run_due on run (account, handler, due_at) where due_at is not null; -- what to try again
create index run_not_done on run (account, handler, state, number) where state <> 1; -- listing what is, orders about it


create function runs_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update handler as h
        set waiting = h.waiting + c.waiting, done = h.done + c.done, skipped = h.skipped + c.skipped,
            parked = h.parked + c.parked
        from (select account, handler, count(*) filter (where state = 0) as waiting,
                  count(*) filter (where state = 1) as done, count(*) filter (where state = 2) as skipped,
                  count(*) filter (where state = 3) as parked
              from added group by account, handler) as c
        where h.account = c.account and h.handler = c.handler;
    elsif tg_op = 'DELETE' then
        update handler as h
        set waiting = h.waiting - c.waiting, done = h.done - c.done, skipped = h.skipped - c.skipped,
            parked = h.parked - c.parked
        from (select account, handler, count(*) filter (where state = 0) as waiting,
                  count(*) filter (where state = 1) as done, count(*) filter (where state = 2) as skipped,
                  count(*) filter (where state = 3) as parked
              from gone group by account, handler) as c
        where h.account = c.account and h.handler = c.handler;
    else
        update handler as h
        set waiting = h.waiting + c.waiting, done = h.done + c.done, skipped = h.skipped + c.skipped,
            parked = h.parked + c.parked
        from (select account, handler, sum(case state when 0 then n else 0 end) as waiting,
                  sum(case state when 1 then n else 0 end) as done, sum(case state when 2 then n else 0 end) as skipped,
                  sum(case state when 3 then n else 0 end) as parked
              from (select account, handler, state, 1 as n from added
                    union all select account, handler, state, -1 from gone) as both_sides
              group by account, handler) as c
        where h.account = c.account and h.handler = c.handler
        and (c.waiting, c.done, c.skipped, c.parked) <> (0, 0, 0, 0);
    end if;
    return null;
end $$;
create trigger run_added after insert on run
    referencing new table as added for each statement execute function runs_counted();
create trigger run_changed after update on run
    referencing old table as gone new table as added for each statement execute function runs_counted();
create trigger run_removed after delete on run
    referencing old table as gone for each statement execute function runs_counted();

-- The newest version of each subject that a handler has handled, so that nothing older follows.
create table handled (
    account bigint not null,
    handler bigint not null,
    subject bigint not null,
    version bigint not null,
    number bigint not null,
    primary key (account, handler, subject)
);
create index handled_by_message on handled (account, handler, number); -- going with its message

-- What a person has been told of one series by one handler; `person` is empty for what the series itself holds.
create table agenda (
    account bigint not null references account,
    person text not null,
    handler text not null,
    series text not null,
    version bigint not null,
    number bigint not null,
    entries text not null,
    primary key (account, person, handler, series)
);

-- The addresses of calendars. They show no more than stands in the clear beside them.
create table calendar (
    token bytea primary key check (octet_length(token) = 20),
    account bigint not null references account,
    person text not null,
    series text not null check ((series = '') <> (person = '')),
    handler text not null
);
create unique index calendar_of on calendar (account, person, series, handler); -- one address each, erasing a person

-- How far the bodies of an account's inbox have been let go, so that nobody looks at them again.
create table message_expiry (
    account bigint primary key references account,
    number bigint not null
);

-- People being erased and people erased. What is searched for in the inbox stands here until the search is over.
create table erasure (
    account bigint not null references account,
    erasure bytea not null check (octet_length(erasure) = 16),
    participant bigint,
    state text not null check (state in ('searching', 'sealing', 'done')),
    email text check ((email is not null) = (state = 'searching')),
    phone text check (phone is null or state = 'searching'),
    memberships bigint not null,
    retries bigint not null,
    messages bigint not null,
    searched bigint not null default 0,
    emptied bigint not null default 0,
    read_to bigint not null default 0,
    -- The newest message at the time: later ones were sent by somebody who still has the address.
    last_number bigint not null,
    requested_at bigint not null,
    finished_at bigint check ((finished_at is not null) = (state = 'done')),
    primary key (account, erasure)
);
create index erasure_open on erasure (state, erasure) where finished_at is null; -- the janitor's work, oldest first

-- The processes that serve from this database. One that is not seen for a while is taken for gone.
create table node (
    node bytea primary key check (octet_length(node) = 16),
    name text not null,
    -- Null where it takes no lanes.
    lanes bigint,
    requests bigint not null,
    started_at bigint not null,
    seen_at bigint not null
);
