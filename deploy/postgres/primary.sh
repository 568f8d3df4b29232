# Sourced once by the image of PostgreSQL, on its new and empty cluster.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=password="${REPLICATION_PASSWORD:?}" \
    --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
create role replicator login replication password :'password';
-- Of force from the next start on, so that nothing here waits for a standby that is not there yet.
alter system set synchronous_standby_names = 'standby';
-- The log has partitions by day, and a look far back locks many of them. The standby, which has these settings, needs as many.
alter system set max_locks_per_transaction = 256;
-- For so much the standby may be away without being made anew.
alter system set wal_keep_size = '2GB';
SQL
echo "host replication replicator all scram-sha-256" >>"$PGDATA/pg_hba.conf"
