"""Decisions by month. An id is a UUID of version 7, which begins with the time: ranges of ids are ranges of time.

Nothing is copied: the table as it is becomes the first partition, for everything until the end of this month (of the
last one where there are no decisions yet).
"""

from django.db import migrations

_FUNCTIONS = """
CREATE FUNCTION inferhub_first_id(moment timestamptz) RETURNS uuid IMMUTABLE STRICT LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partitions of this month and of those after it that are not there yet; says how many it made.
CREATE FUNCTION inferhub_partition_decisions(months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    partition text;
    made integer := 0;
BEGIN
    FOR ahead IN 0 .. months_ahead LOOP
        month := date_trunc('month', now(), 'UTC') + make_interval(months => ahead);
        partition := 'decisions_decision_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL
            OR month < (SELECT ends_at FROM inferhub_decision_partitions WHERE starts_at IS NULL);
        -- Attached, not created in place: that would wait for every reader, and make every writer wait.
        EXECUTE format('CREATE TABLE %I (LIKE decisions_decision INCLUDING ALL)', partition);
        EXECUTE format(
            'CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION inferhub_refuse_change()', partition);
        EXECUTE format(
            'ALTER TABLE decisions_decision ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, inferhub_first_id(month), inferhub_first_id(month + interval '1 month'));
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
"""
_SPLIT = """
CREATE VIEW inferhub_decision_partitions AS
SELECT
    child.oid::regclass::text AS name,
    to_timestamp(('x' || substring(bounds FROM $re$FROM \\('([0-9a-f]{8})$re$)
        || substring(bounds FROM $re$FROM \\('[0-9a-f]{8}-([0-9a-f]{4})$re$))::bit(48)::bigint / 1000.0) AS starts_at,
    to_timestamp(('x' || substring(bounds FROM $re$TO \\('([0-9a-f]{8})$re$)
        || substring(bounds FROM $re$TO \\('[0-9a-f]{8}-([0-9a-f]{4})$re$))::bit(48)::bigint / 1000.0) AS ends_at
FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid,
LATERAL (SELECT pg_get_expr(child.relpartbound, child.oid) AS bounds) AS bound
WHERE inhparent = to_regclass('decisions_decision');

DO $$
DECLARE
    statement text;
    item record;
    again text[];
    ends timestamptz := date_trunc('month', now(), 'UTC');
BEGIN
    IF EXISTS (SELECT FROM decisions_decision) THEN
        ends := ends + interval '1 month';
    END IF;
    -- Indexes, triggers and foreign keys, in both directions, are to belong to the whole table from now on.
    SELECT array_agg(definition ORDER BY place) INTO again FROM (
        SELECT 1 AS place, pg_get_indexdef(indexrelid) AS definition FROM pg_index
            WHERE indrelid = 'decisions_decision'::regclass AND NOT indisprimary
        UNION ALL
        SELECT 2, pg_get_triggerdef(oid) FROM pg_trigger
            WHERE tgrelid = 'decisions_decision'::regclass AND NOT tgisinternal
        UNION ALL
        SELECT 3, format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
            FROM pg_constraint WHERE contype = 'f' AND 'decisions_decision'::regclass IN (conrelid, confrelid)
    ) AS parts;
    FOR item IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint
        WHERE contype = 'f' AND 'decisions_decision'::regclass IN (conrelid, confrelid)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.owner, item.conname);
    END LOOP;
    FOR item IN SELECT tgname FROM pg_trigger
        WHERE tgrelid = 'decisions_decision'::regclass AND NOT tgisinternal AND tgname <> 'append_only_whole'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON decisions_decision', item.tgname);
    END LOOP;
    FOR item IN SELECT indexrelid::regclass AS name, relname FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE indrelid = 'decisions_decision'::regclass
    LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', item.name, left(item.relname, 55) || '_before');
    END LOOP;
    ALTER TABLE decisions_decision RENAME TO decisions_decision_before;

    CREATE TABLE decisions_decision (LIKE decisions_decision_before INCLUDING DEFAULTS) PARTITION BY RANGE (id);
    ALTER TABLE decisions_decision ADD CONSTRAINT decisions_decision_pkey PRIMARY KEY (id);
    EXECUTE format(
        'ALTER TABLE decisions_decision ATTACH PARTITION decisions_decision_before FOR VALUES FROM (MINVALUE) TO (%L)',
        inferhub_first_id(ends));
    FOREACH statement IN ARRAY again LOOP
        EXECUTE statement;
    END LOOP;
    PERFORM inferhub_partition_decisions(3);
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("decisions", "0007_request_ids_are_keys")]
    operations = [migrations.RunSQL(_FUNCTIONS), migrations.RunSQL(_SPLIT)]
