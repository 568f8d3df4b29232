-- Every table leads with the account, so that the same shape can be sharded on PostgreSQL.
-- Times are Unix milliseconds; wall times are text (`2024-03-15T15:30:00`); ids are their bytes.

create table account (
    account integer primary key,
    name text not null,
    timezone text not null,
    created_at integer not null,
    -- Rises with each change of the roster: events freeze their audience by it.
    revision integer not null default 0,
    participants integer not null default 0,
    events integer not null default 0
) strict;

create table api_key (
    public_id text primary key,
    account integer not null references account,
    hash blob not null check (length(hash) = 32),
    -- Names with a space between them.
    scopes text not null check (scopes <> ''),
    created_at integer not null,
    expires_at integer,
    revoked_at integer,
    -- To the hour or so: a request costs no write.
    last_used_at integer
) strict, without rowid;
create index api_key_by_account on api_key (account, created_at); -- listing an account's keys

-- How long an account keeps what, in days; an account without a row keeps to the defaults.
create table retention (
    account integer primary key references account,
    bodies_days integer not null,
    log_days integer not null,
    metadata_days integer not null
) strict;

-- Who did what to an account. Written in the transaction of the act itself, and never changed.
create table audit (
    entry integer primary key autoincrement,
    account integer not null references account,
    at integer not null,
    actor text not null,
    source_address text,
    act text not null,
    object text not null
) strict;
create index audit_by_account on audit (account, entry); -- listing
create trigger audit_is_not_changed before update on audit begin
    select raise(abort, 'the audit log is only ever added to');
end;
create trigger audit_is_not_shortened before delete on audit begin
    select raise(abort, 'the audit log is only ever added to');
end;

create table mango (
    account integer not null references account,
    mango blob not null check (length(mango) = 12),
    name text not null,
    created_at integer not null,
    primary key (account, mango)
) strict, without rowid;

create table participant (
    account integer not null,
    participant integer not null,
    name text not null,
    email text not null collate nocase,
    phone text,
    timezone text,
    attributes text,
    primary key (account, participant)
) strict, without rowid;
create unique index participant_by_email on participant (account, email); -- one address is one person: enrolling

-- `team` is 'm' and a mango's id, or 's' and a series' id (people registered for it).
-- A membership holds from the revision `joined` on, and before the revision `ended`.
create table membership (
    account integer not null,
    team blob not null check (length(team) = 13),
    participant integer not null,
    joined integer not null,
    ended integer check (ended > joined),
    primary key (account, team, participant, joined)
) strict, without rowid;
create index membership_by_participant on membership (account, participant, team); -- exclusions, one person's teams
create index membership_ended on membership (account, ended) where ended is not null; -- pruning

create table series (
    account integer not null references account,
    series blob not null check (length(series) = 12),
    version integer not null check (version > 0),
    created_at integer not null,
    cancelled_at integer,
    -- When its last session is over, as announced, and the tz databases by which it was announced and that its sessions
    -- were last compared with: a newer one may move them.
    ends_at integer not null,
    tzdb_announced text not null,
    tzdb_compared text not null,
    primary key (account, series)
) strict, without rowid;
create index series_to_compare on series (ends_at, account, series, tzdb_compared); -- what a newer tz database may move

create table series_version (
    account integer not null,
    series blob not null,
    version integer not null,
    draft text not null check (json_valid(draft)),
    saved_at integer not null,
    primary key (account, series, version)
) strict, without rowid;

-- Upcoming sessions as wall time and zone: rules of zones change. The instant and offset (seconds) that were announced
-- stand beside, so that such a change is noticed.
create table session (
    account integer not null,
    session blob not null check (length(session) = 12),
    series blob not null,
    original_start text not null,
    start text not null,
    timezone text not null,
    duration_minutes integer not null,
    state text not null check (state in ('scheduled', 'cancelled', 'removed')),
    announced_at integer not null,
    announced_offset integer not null,
    primary key (account, session)
) strict, without rowid;
create index session_by_series on session (account, series); -- marking the removed ones at a save

create table event (
    account integer not null references account,
    event blob not null check (length(event) = 16),
    type text not null,
    cause text not null check (cause in ('created', 'updated')),
    series blob not null,
    version integer not null,
    title text not null,
    mangoes blob not null check (length(mangoes) % 12 = 0),
    excluded blob not null check (length(excluded) % 12 = 0),
    revision integer not null,
    -- The numbers of the few whom an event to late registrants concerns; null for the whole audience.
    listed text check (json_valid(listed)),
    series_part blob not null,
    attendee_instant integer,
    tzdb_version text not null,
    created_at integer not null,
    -- Counted by the first lane that comes to it, not by the save.
    audience integer,
    primary key (account, event)
) strict;
create index event_by_age on event (account, created_at); -- pruning
create index event_by_revision on event (account, revision); -- which members an audience may still need

create table endpoint (
    account integer not null references account,
    endpoint blob not null check (length(endpoint) = 16),
    url text not null,
    switch text not null default 'on' check (switch in ('on', 'paused')),
    -- Requests a minute its owner allows; null for as many as the receiver takes.
    rate_per_minute integer check (rate_per_minute > 0),
    burst integer check (burst > 0 and (burst is null) = (rate_per_minute is null)),
    concurrency_max integer not null default 64 check (concurrency_max between 1 and 256),
    older_versions text not null default 'deliver' check (older_versions in ('deliver', 'supersede')),
    created_at integer not null,
    primary key (account, endpoint)
) strict, without rowid;
create unique index endpoint_by_url on endpoint (account, url); -- subscribing the same URL again

-- Sealed text opens in its own row only (`store::Vault`).
create table endpoint_secret (
    account integer not null,
    endpoint blob not null,
    -- Rises with each rotation; clocks may not.
    number integer not null check (number > 0),
    sealed text not null check (sealed glob 's1.*'),
    created_at integer not null,
    -- Null for the newest alone, which the others sign beside until then.
    valid_until integer,
    primary key (account, endpoint, number)
) strict, without rowid;
create unique index endpoint_secret_newest on endpoint_secret (account, endpoint) where valid_until is null; -- one newest
create index endpoint_secret_expiring on endpoint_secret (valid_until) where valid_until is not null; -- removing the expired

-- The keys under which anything may be sealed here, of all accounts: a process that lacks one of them is refused at its
-- start, and only a server's start may add one, so that a running server can open whatever is sealed beside it.
create table sealing_key (
    key_id text primary key check (length(key_id) = 8)
) strict, without rowid;

create table subscription (
    account integer not null references account,
    subscription blob not null check (length(subscription) = 16),
    endpoint blob not null,
    event_type text not null,
    -- Empty for all webinars: two nulls would not be the same subscription.
    webinar blob not null check (length(webinar) in (0, 12)),
    created_at integer not null,
    primary key (account, subscription)
) strict, without rowid;
create unique index subscription_once on subscription (account, event_type, endpoint, webinar); -- subscribing the same twice

create table lane (
    account integer not null,
    endpoint blob not null,
    health text not null default 'healthy' check (health in ('healthy', 'slow_start', 'open', 'gone', 'disabled')),
    failures integer not null default 0,
    slow_window integer check ((slow_window is not null) = (health = 'slow_start')),
    open_until integer check ((open_until is not null) = (health = 'open')),
    failing_since integer check ((failing_since is not null) = (health = 'open')),
    ended_since integer check ((ended_since is not null) = (health in ('gone', 'disabled'))),
    last_failure_at integer,
    last_failure text check ((last_failure is not null) = (last_failure_at is not null)),
    -- The earliest moment at which there is something to do; null while there is nothing.
    due_at integer,
    owner blob,
    lease_until integer,
    epoch integer not null default 0,
    -- Rises with every order of the owner that a lane at work must hear of.
    signal integer not null default 0,
    -- First attempts a minute lately.
    per_minute integer,
    primary key (account, endpoint)
) strict, without rowid;
create index lane_due on lane (due_at) where due_at is not null; -- claiming

create table fan_out (
    account integer not null,
    fan_out blob not null check (length(fan_out) = 16),
    event blob not null,
    endpoint blob not null,
    -- The number of its event in the account: two versions saved within a millisecond are still sent in order.
    position integer not null,
    -- Those of its event, for the question whether somebody has a newer version already.
    series blob not null,
    version integer not null,
    state text not null default 'running' check (state in ('running', 'paused', 'swept', 'superseded', 'skipped')),
    cursor_participant integer not null default 0,
    cursor_index integer not null default 0,
    delivered integer not null default 0,
    retrying integer not null default 0,
    held integer not null default 0,
    abandoned integer not null default 0,
    called_off integer not null default 0,
    erased integer not null default 0,
    created_at integer not null,
    -- Whether its deliveries are kept one by one; later only the counts above are.
    is_logged integer not null default 1 check (is_logged in (0, 1)),
    -- Of a replay: the fan-out whose message ids it repeats, the few it is for, and its pace.
    replay blob,
    origin blob check ((origin is null) = (replay is null)),
    listed text check (listed is null or (json_valid(listed) and replay is not null)),
    per_minute integer check (per_minute is null or (per_minute > 0 and replay is not null)),
    -- Sent although the endpoint was told of a newer version: its owner wants it so.
    even_if_outdated integer not null default 0 check (even_if_outdated in (0, replay is not null)),
    primary key (account, fan_out)
) strict, without rowid;
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
create index fan_out_logged on fan_out (account, created_at) where is_logged = 1; -- pruning the log

-- The deliveries that did not simply succeed. All others live in segments only.
create table exception (
    account integer not null,
    fan_out blob not null,
    participant integer not null,
    place integer not null,
    endpoint blob not null,
    state text not null check (state in ('retrying', 'held', 'abandoned', 'superseded', 'skipped', 'erased')),
    due_at integer check ((due_at is not null) = (state = 'retrying')),
    -- Of the attempt to come while retrying or held, of the last one afterwards.
    attempt integer not null check (attempt between 0 and 65535),
    -- How many attempts have counted against the delivery's own schedule.
    charged integer not null default 0,
    last_outcome integer,
    last_at integer,
    -- The replay that has put it into the queue again.
    replay blob,
    primary key (account, fan_out, participant),
    -- A row of which the fan-out is gone would keep its lane due for ever.
    foreign key (account, fan_out) references fan_out
) strict, without rowid;
create index exception_due on exception (account, endpoint, due_at) where due_at is not null; -- a lane's retries
create index exception_by_person on exception (account, participant) where state in ('retrying', 'held'); -- erasing somebody

create index exception_unfinished on exception (account, fan_out) where state in ('retrying', 'held'); -- calling off

create index exception_replayed on exception (account, replay, endpoint, state, charged) -- a replay's progress and queue
    where replay is not null;

create trigger exception_added after insert on exception begin
    update fan_out
    set retrying = retrying + (new.state = 'retrying'), held = held + (new.state = 'held'),
        abandoned = abandoned + (new.state = 'abandoned'),
        called_off = called_off + (new.state in ('superseded', 'skipped')),
        erased = erased + (new.state = 'erased'),
        is_logged = 1
    where account = new.account and fan_out = new.fan_out;
end;
create trigger exception_changed after update of state on exception when new.state <> old.state begin
    update fan_out
    set retrying = retrying + (new.state = 'retrying') - (old.state = 'retrying'),
        held = held + (new.state = 'held') - (old.state = 'held'),
        abandoned = abandoned + (new.state = 'abandoned') - (old.state = 'abandoned'),
        called_off = called_off + (new.state in ('superseded', 'skipped')) - (old.state in ('superseded', 'skipped')),
        erased = erased + (new.state = 'erased') - (old.state = 'erased')
    where account = new.account and fan_out = new.fan_out;
end;
create trigger exception_removed after delete on exception begin
    update fan_out
    set retrying = retrying - (old.state = 'retrying'), held = held - (old.state = 'held'),
        abandoned = abandoned - (old.state = 'abandoned'),
        called_off = called_off - (old.state in ('superseded', 'skipped')),
        erased = erased - (old.state = 'erased')
    where account = old.account and fan_out = old.fan_out;
end;

-- Deliveries that are sent again, as their owner has ordered. One that revives works through rows of `exception` and
-- keeps its own counts; the progress of one that resends is that of its fan-outs.
create table replay (
    account integer not null references account,
    replay blob not null check (length(replay) = 16),
    scope text not null check (scope in ('delivery', 'failed', 'event')),
    event blob check ((scope = 'event') <= (event is not null)),
    endpoint blob,
    since integer check (since is null or scope = 'failed'),
    fan_out blob check ((fan_out is not null) = (scope = 'delivery')),
    participant integer check ((participant is not null) = (scope = 'delivery')),
    way text not null check (way in ('revive', 'resend')),
    state text not null default 'running' check (state in ('running', 'paused', 'cancelled', 'done')),
    per_minute integer check (per_minute > 0),
    counted integer not null,
    begun integer not null default 0,
    delivered integer not null default 0,
    cursor_fan_out blob not null default x'',
    cursor_participant integer not null default 0,
    next_at integer not null,
    created_at integer not null,
    primary key (account, replay)
) strict, without rowid;
create index replay_due on replay (next_at) where state = 'running' and way = 'revive'; -- turns
create index replay_open on replay (account) where state in ('running', 'paused'); -- how many are under way

-- The outcomes of one commit of a lane, packed by `provider::segment`.
create table segment (
    segment integer primary key,
    account integer not null,
    fan_out blob not null,
    first_participant integer not null,
    last_participant integer not null check (last_participant >= first_participant),
    entries integer not null check (entries > 0),
    outcomes blob not null
) strict;
-- One delivery of a fan-out; the log of a fan-out in falling order; what a crash left beyond the cursor.
create index segment_by_range on segment (account, fan_out, last_participant, first_participant);

-- What is kept of attempts that failed, beside the outcome in their segment; those that succeed have no row.
-- Read with the delivery it belongs to, and with the row of the exception whose last attempt it was.
create table attempt_failure (
    account integer not null,
    fan_out blob not null,
    participant integer not null,
    attempt integer not null,
    -- After a crash an attempt may be made again under its number.
    finished_at integer not null,
    -- Microseconds, null for a phase that did not happen or did not end.
    dns integer,
    connect integer,
    tls integer,
    first_byte integer,
    total integer not null,
    reused integer not null check (reused in (0, 1)),
    reason text not null check (length(reason) between 1 and 240),
    primary key (account, fan_out, participant, attempt, finished_at)
) strict, without rowid;

-- What an account's owner is told. `subject` is the endpoint or the series it is about.
create table notice (
    account integer not null references account,
    notice blob not null check (length(notice) = 16),
    kind text not null check (kind in ('endpoint.disabled', 'rules.changed')),
    subject blob not null check (length(subject) = iif(kind = 'endpoint.disabled', 16, 12)),
    details text not null check (json_valid(details)),
    created_at integer not null,
    read_at integer,
    primary key (account, notice)
) strict, without rowid;
create index notice_by_subject on notice (account, kind, subject, notice); -- what was said of it last
create index notice_unread on notice (account) where read_at is null; -- counting them

-- A notice on its way to one endpoint. Whoever takes it moves `due_at` on to when another may, and `epoch` up.
create table notice_delivery (
    account integer not null,
    notice blob not null,
    endpoint blob not null,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'abandoned')),
    due_at integer check ((due_at is not null) = (state = 'waiting')),
    attempts integer not null default 0,
    last_outcome integer,
    last_at integer check ((last_at is not null) = (last_outcome is not null)),
    epoch integer not null default 0,
    primary key (account, notice, endpoint)
) strict, without rowid;
create index notice_delivery_due on notice_delivery (due_at) where due_at is not null; -- claiming

create table source (
    account integer not null references account,
    source blob not null check (length(source) = 16),
    name text not null,
    preset text not null check (preset <> ''),
    sealed_keys text not null check (sealed_keys glob 's1.*'),
    created_at integer not null,
    primary key (account, source)
) strict, without rowid;
create unique index source_by_id on source (source); -- an incoming request names the source alone

create table message (
    number integer primary key autoincrement,
    account integer not null,
    source blob not null,
    dedupe_key blob not null,
    digest blob not null check (length(digest) = 16),
    message_id text,
    headers text not null,
    received_at integer not null,
    -- Why body and headers are gone, where they are.
    emptied text check (emptied in ('erased', 'expired')),
    -- Which of how many webhooks of its sender's fan-out it is, where the sender says so.
    fan_out blob check (length(fan_out) = 16),
    fan_out_index integer check ((fan_out_index is null) = (fan_out is null)),
    fan_out_total integer check ((fan_out_total is null) = (fan_out is null)),
    body blob not null,
    check (emptied is null or (headers = '' and body = x''))
) strict;
create index message_by_account on message (account, number, received_at); -- listing, also of a time
create index message_by_fan_out on message (account, fan_out, fan_out_index, fan_out_total) -- what is missing of a fan-out
    where fan_out is not null;

-- Where a repetition is looked for: a hash of account, source and slot, and the newest message there. It decides nothing:
-- that message is compared. One row for each slot, so that what is new is known by one look, however many there are.
create table message_seen (
    fingerprint integer primary key,
    number integer not null
) strict;

-- The sweep that takes old rows out of `message_seen`, in the order of fingerprints. Of messages below `swept` the last one
-- has left no row; the one under way, where `below` is more, takes those below that and has come to `position`.
create table message_seen_sweep (
    sweep integer primary key check (sweep = 1),
    position integer not null,
    below integer not null check (below >= swept),
    swept integer not null
) strict;

-- Only messages that came more than once have a row.
create table message_duplicate (
    account integer not null,
    number integer not null,
    copies integer not null,
    conflicts integer not null,
    last_at integer not null,
    primary key (account, number)
) strict, without rowid;

-- A handler's place in the inbox: everything up to `cursor` is settled or has a row in `run`.
create table handler (
    account integer not null references account,
    -- Counted from 1 in each account, so that rows of runs are short.
    handler integer not null check (handler > 0),
    name text not null check (name <> ''),
    cursor integer not null,
    owner blob,
    lease_until integer,
    epoch integer not null default 0,
    waiting integer not null default 0,
    done integer not null default 0,
    skipped integer not null default 0,
    parked integer not null default 0,
    primary key (account, handler)
) strict, without rowid;
create unique index handler_by_name on handler (account, name); -- a name is one handler

-- What a handler has begun, or was asked for by an order. A message that it passed over has no row.
create table run (
    account integer not null,
    handler integer not null,
    number integer not null,
    -- 0 waiting, 1 done, 2 skipped, 3 parked: SQLite keeps 0 and 1 in no space, and most runs are done.
    state integer not null check (state between 0 and 3),
    attempts integer not null,
    generation integer not null,
    changed_at integer not null,
    due_at integer check ((due_at is not null) = (state = 0)),
    -- Why the last attempt failed; of what is skipped the name of the reason.
    reason text check ((reason is null) = (state = 1) and (state <> 2 or reason in ('outdated', 'content_gone', 'dropped'))),
    primary key (account, handler, number)
) strict, without rowid;
create index run_due on run (account, handler, due_at) where due_at is not null; -- what to try again
create index run_not_done on run (account, handler, state, number) where state <> 1; -- listing what is, orders about it

create trigger run_added after insert on run begin
    update handler
    set waiting = waiting + (new.state = 0), done = done + (new.state = 1), skipped = skipped + (new.state = 2),
        parked = parked + (new.state = 3)
    where account = new.account and handler = new.handler;
end;
create trigger run_changed after update of state on run when new.state <> old.state begin
    update handler
    set waiting = waiting + (new.state = 0) - (old.state = 0), done = done + (new.state = 1) - (old.state = 1),
        skipped = skipped + (new.state = 2) - (old.state = 2), parked = parked + (new.state = 3) - (old.state = 3)
    where account = new.account and handler = new.handler;
end;
create trigger run_removed after delete on run begin
    update handler
    set waiting = waiting - (old.state = 0), done = done - (old.state = 1), skipped = skipped - (old.state = 2),
        parked = parked - (old.state = 3)
    where account = old.account and handler = old.handler;
end;

-- The newest version of each subject that a handler has handled, so that nothing older follows.
create table handled (
    account integer not null,
    handler integer not null,
    subject integer not null,
    version integer not null,
    number integer not null,
    primary key (account, handler, subject)
) strict, without rowid;
create index handled_by_message on handled (account, handler, number); -- going with its message

-- What a person has been told of one series by one handler; `person` is empty for what the series itself holds.
create table agenda (
    account integer not null references account,
    person text not null,
    handler text not null,
    series text not null,
    version integer not null,
    number integer not null,
    entries text not null,
    primary key (account, person, handler, series)
) strict, without rowid;

-- The addresses of calendars. They show no more than stands in the clear beside them.
create table calendar (
    token blob primary key check (length(token) = 20),
    account integer not null references account,
    person text not null,
    series text not null check ((series = '') <> (person = '')),
    handler text not null
) strict, without rowid;
create unique index calendar_of on calendar (account, person, series, handler); -- one address each, erasing a person

-- How far the bodies of an account's inbox have been let go, so that nobody looks at them again.
create table message_expiry (
    account integer primary key references account,
    number integer not null
) strict;

-- People being erased and people erased. What is searched for in the inbox stands here until the search is over.
create table erasure (
    account integer not null references account,
    erasure blob not null check (length(erasure) = 16),
    participant integer,
    state text not null check (state in ('searching', 'sealing', 'done')),
    email text check ((email is not null) = (state = 'searching')),
    phone text check (phone is null or state = 'searching'),
    memberships integer not null,
    retries integer not null,
    messages integer not null,
    searched integer not null default 0,
    emptied integer not null default 0,
    read_to integer not null default 0,
    -- The newest message at the time: later ones were sent by somebody who still has the address.
    last_number integer not null,
    requested_at integer not null,
    finished_at integer check ((finished_at is not null) = (state = 'done')),
    primary key (account, erasure)
) strict, without rowid;
create index erasure_open on erasure (state, erasure) where finished_at is null; -- the janitor's work, oldest first

-- The processes that serve from this file: one at a time, by its lock. One that is not seen for a while is taken for gone.
create table node (
    node blob primary key check (length(node) = 16),
    name text not null,
    -- Null where it takes no lanes.
    lanes integer,
    requests integer not null,
    started_at integer not null,
    seen_at integer not null
) strict, without rowid;
