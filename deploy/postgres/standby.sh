# Copies the primary at the first start, and follows it from then on. PGHOST, PGUSER and PGPASSWORD say where it is.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    chmod 700 "$PGDATA"
    until pg_basebackup --pgdata="$PGDATA" --write-recovery-conf --checkpoint=fast; do
        find "$PGDATA" -mindepth 1 -delete
        sleep 1
    done
fi
# The primary knows it by this name. Once promoted it waits for no standby: there is none.
exec postgres -c cluster_name=standby -c synchronous_standby_names= "$@"
