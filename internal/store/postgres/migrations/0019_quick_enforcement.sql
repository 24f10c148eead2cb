-- What tables that enforce ask, in a fraction of the time. See docs/performance.md, "Where the time of enforcement goes".

-- Who asks, and when: null where it is nobody. One statement reads the clock and verifies the token.
CREATE TYPE crm_access.asker AS (subject text, now timestamptz);

CREATE FUNCTION crm_access.asker(tenant text) RETURNS crm_access.asker
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    -- subject.expiry.mac, each in its one spelling. Longer than this it is none, and not worth the reading.
    token constant text := left(current_setting('crm_access.token', true), 400) COLLATE "C";
    said constant text := left(token, -65);
    expiry constant text := split_part(said, '.', -1);
    message bytea;
    who crm_access.asker;
BEGIN
    -- No bounded repetition: that takes milliseconds to match. Nobody's in a transaction that keeps to one snapshot: it
    -- would go on with what has been revoked since.
    IF token ~ '^([a-z0-9]|[a-z0-9][-.a-z0-9]*[a-z0-9])\.[1-9][0-9]*\.[0-9a-f]*$' IS NOT TRUE
        OR left(right(token, 65), 1) <> '.' OR length(expiry) > 12 OR length(said) > length(expiry) + 254
        OR current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RETURN NULL;
    END IF;
    message := convert_to('crm-access-token/v1' || chr(10) || tenant || chr(10) || said, 'UTF8');
    SELECT c.now INTO who.now
    FROM crm_access.clock AS c, crm_access.token_key AS k
    WHERE k.tenant = asker.tenant AND (k.not_after IS NULL OR k.not_after > c.now)
        -- The macs of the macs are compared: how long it takes says nothing of a mac that would be right.
        AND sha256(k.outer_block || sha256(k.outer_block || sha256(k.inner_block || message)))
            = sha256(k.outer_block || decode(right(token, 64), 'hex'))
    LIMIT 1;
    IF who.now IS NULL OR expiry::bigint <= extract(epoch FROM who.now) THEN
        RETURN NULL;
    END IF;
    who.subject := left(said, -1 - length(expiry));
    RETURN who;
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION crm_access.subject(tenant text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (crm_access.asker(tenant)).subject;
END
$$;

-- The names, each behind a text.
CREATE FUNCTION crm_access.each_behind(prefix text, names text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.string_to_array(prefix || pg_catalog.array_to_string(names, E'\x1f' || prefix), E'\x1f');

-- What a rule has among its subjects that has a say in whether somebody may list an object.
CREATE FUNCTION crm_access.listed_by_rules(object text, action text, directly text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN crm_access.each_behind(object || ' ', directly) || crm_access.each_behind('* ', directly)
        || CASE WHEN action IN ('read', 'export') THEN ARRAY[object || ' ' || action, object || ' *', '* ' || action, '* *',
            'narrowly ' || object || ' ' || action, 'narrowly ' || object || ' *', 'narrowly * ' || action, 'narrowly * *'] END;
END
$$;

-- The owners that scopes come to, added to those that are named.
CREATE FUNCTION crm_access.owners_within(tenant text, subject text, scopes text[], owners text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF 'own' = ANY (scopes) THEN
        owners := owners || subject;
    END IF;
    IF 'subordinates' = ANY (scopes) THEN
        owners := owners || crm_access.reports_of(tenant, subject);
    END IF;
    RETURN owners;
END
$$;

-- The departments that scopes, names and subtrees come to: those of the names that are declared, and all of the subtrees.
CREATE FUNCTION crm_access.departments_within(tenant text, subject text, scopes text[], names text[], trees text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    reached text[];
BEGIN
    IF 'department' = ANY (scopes) THEN
        reached := nullif(crm_access.departments_of(tenant, subject), '{}');
    END IF;
    IF 'departmentAndBelow' = ANY (scopes) THEN
        trees := trees || ARRAY(
            SELECT m.department FROM crm_access.user_department AS m
            WHERE m.tenant = departments_within.tenant AND m.user_name = departments_within.subject);
    END IF;
    IF names IS NOT NULL OR trees IS NOT NULL THEN
        reached := reached || crm_access.departments_under(tenant, names, trees);
    END IF;
    RETURN reached;
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION crm_access.widened(
    tenant text, subject text, scopes text[], owners text[], departments text[], trees text[], ids text[]
) RETURNS crm_access.reach
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    reached crm_access.reach;
BEGIN
    IF 'all' = ANY (scopes) THEN
        reached.everything := true;
        RETURN reached;
    END IF;
    reached.owners := crm_access.owners_within(tenant, subject, scopes, owners);
    reached.departments := crm_access.departments_within(tenant, subject, scopes, departments, trees);
    reached.participants := CASE WHEN 'involved' = ANY (scopes) THEN ARRAY[subject] END;
    reached.ids := ids;
    RETURN reached;
END
$$;

-- Lists one behind the other.
CREATE AGGREGATE crm_access.all_of(anycompatiblearray) (SFUNC = array_cat, STYPE = anycompatiblearray, PARALLEL = SAFE);

-- A part of what whoever the token names reaches of an object by an action, through tuples with just these conditions, for
-- the arm of a policy that looks it up: its owners, departments, participants or ids. Of everything it is an empty list, and
-- of other parts null then. With directly, only through tuples that let read all of what it names. Each part asks anew who
-- asks: a value that one left for the others would lie where the application can put its own.
CREATE FUNCTION crm_access.reached(tenant text, object text, action text, conditions jsonb, directly text[], part text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant crm_access.asker := crm_access.asker(tenant);
    about constant text[] := crm_access.listed_by_rules(object, action, directly);
    held record;
    shared text[];
BEGIN
    IF who.subject IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT count(*) > 0 AS something, crm_access.all_of(b.scopes) AS scopes, crm_access.all_of(b.owners) AS owners,
        crm_access.all_of(b.departments) AS departments, crm_access.all_of(b.department_trees) AS trees, crm_access.all_of(b.ids) AS ids,
        EXISTS (SELECT FROM crm_access.guardrail_rule AS g WHERE g.tenant = reached.tenant AND g.subjects && about) AS ruled
    INTO held
    FROM crm_access.live_tuples(reached.tenant, who.subject, reached.object, who.now) AS b
    WHERE reached.action = ANY (b.actions) AND b.conditions IS NOT DISTINCT FROM reached.conditions
        AND (reached.directly IS NULL OR NOT b.restricted AND (b.lowered && reached.directly) IS NOT TRUE);
    -- Of what is shared the table itself shows nothing: a share may be of a few fields.
    IF part = 'ids' AND conditions IS NULL AND directly IS NULL AND EXISTS (
        SELECT FROM crm_access.share AS s WHERE s.tenant = reached.tenant AND s.recipient = who.subject AND s.not_after > who.now
    ) THEN
        shared := (crm_access.shared_with(tenant, who.subject, object, action, '{}', who.now)).ids;
    END IF;
    IF NOT held.something AND shared IS NULL
        OR held.ruled AND NOT crm_access.may_list(tenant, who.subject, object, action, directly, who.now) THEN
        RETURN NULL;
    END IF;
    IF part = 'everything' OR 'all' = ANY (held.scopes) THEN
        RETURN CASE WHEN part = 'everything' AND 'all' = ANY (held.scopes) THEN '{}'::text[] END;
    END IF;
    RETURN CASE part
        WHEN 'owners' THEN crm_access.owners_within(tenant, who.subject, held.scopes, held.owners)
        WHEN 'departments' THEN crm_access.departments_within(tenant, who.subject, held.scopes, held.departments, held.trees)
        WHEN 'participants' THEN CASE WHEN 'involved' = ANY (held.scopes) THEN ARRAY[who.subject] END
        WHEN 'ids' THEN held.ids || shared
    END;
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION crm_access.reach_of(tenant text, object text, action text, conditions jsonb, directly text[])
RETURNS crm_access.reach
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole crm_access.reach;
BEGIN
    whole.everything := CASE WHEN crm_access.reached(tenant, object, action, conditions, directly, 'everything') IS NOT NULL THEN true END;
    whole.owners := crm_access.reached(tenant, object, action, conditions, directly, 'owners');
    whole.participants := crm_access.reached(tenant, object, action, conditions, directly, 'participants');
    whole.departments := crm_access.reached(tenant, object, action, conditions, directly, 'departments');
    whole.ids := crm_access.reached(tenant, object, action, conditions, directly, 'ids');
    RETURN whole;
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION crm_access.expects_everything(tenant text, object text, action text, directly text[]) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 0.1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant crm_access.asker := crm_access.asker(tenant);
BEGIN
    RETURN who.subject IS NOT NULL AND EXISTS (
        SELECT FROM crm_access.live_tuples(expects_everything.tenant, who.subject, expects_everything.object, who.now) AS t
        WHERE expects_everything.action = ANY (t.actions) AND 'all' = ANY (t.scopes) AND t.conditions IS NULL
            AND (expects_everything.directly IS NULL OR NOT t.restricted AND (t.lowered && expects_everything.directly) IS NOT TRUE));
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION crm_access.last_id(tenant text, object text, action text, conditions jsonb, directly text[], known jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s crm_access.object_storage;
    last text;
BEGIN
    IF (CASE WHEN known IS NULL THEN crm_access.reached(tenant, object, action, conditions, directly, 'everything') IS NULL
        ELSE crm_access.conditioned_reach_of(tenant, object, action, known, directly) IS NULL END) THEN
        RETURN NULL;
    END IF;
    SELECT e.* INTO s FROM crm_access.object_storage AS e
    WHERE e.tenant = last_id.tenant AND e.object = last_id.object
        AND EXISTS (SELECT FROM crm_access.enforcement AS m WHERE m.tenant = e.tenant AND m.object = e.object AND m.table_name = e.table_name);
    IF s.object IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT max(t.%I)::text FROM %s AS t', s.id_column, crm_access.quoted_table(s.table_name))
        || CASE WHEN s.tenant_column <> '' THEN format(' WHERE t.%I = %L', s.tenant_column, s.tenant_value) ELSE '' END INTO last;
    RETURN last;
END
$$;

-- What masked views compare a row with. Tuples without conditions that let see the same of each field are one; the first
-- two of these stand by themselves, so that a row is compared without a query of its own. What there is besides is in more.
-- Of each field levels has two bits, as of a reaching_tuple, and nothing has none of them set.
CREATE TYPE crm_access.shown AS (
    nothing bit varying,
    everything_1 boolean, owners_1 text[], participants_1 text[], departments_1 text[], ids_1 text[], levels_1 bit varying,
    everything_2 boolean, owners_2 text[], participants_2 text[], departments_2 text[], ids_2 text[], levels_2 bit varying,
    more crm_access.reaching_tuple[]);

-- What a tuple's own rules give of each field, and ceilings leave of it.
CREATE FUNCTION crm_access.levels_given(
    fields text[], classes text[], ceilings integer[], rules jsonb, restricted boolean, only_fields text[]
) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT string_agg(
            CASE least(ceilings[n.place], CASE
                WHEN classes[n.place] IS NULL OR restricted AND n.name <> ALL (coalesce(only_fields, '{}')) THEN 0
                ELSE coalesce(
                    (SELECT crm_access.rank_of(r.value ->> 'level')
                        FROM jsonb_array_elements(rules) WITH ORDINALITY AS r (value, place)
                        WHERE r.value ->> 'field' = n.name ORDER BY r.place LIMIT 1),
                    (SELECT crm_access.rank_of(r.value ->> 'level')
                        FROM jsonb_array_elements(rules) WITH ORDINALITY AS r (value, place)
                        WHERE coalesce(r.value ->> 'field', '') = '' AND r.value ->> 'class' = classes[n.place]
                        ORDER BY r.place LIMIT 1),
                    CASE WHEN classes[n.place] IN ('public', 'internal') THEN 3 WHEN classes[n.place] = 'confidential' THEN 1 ELSE 0 END)
                END)
            WHEN 0 THEN '00' WHEN 1 THEN '10' ELSE '11' END, '' ORDER BY n.place)
        FROM unnest(fields) WITH ORDINALITY AS n (name, place));
END
$$;

-- The most that caps leave of each field; null where no cap is about any.
CREATE FUNCTION crm_access.ceilings_of(tenant text, object text, fields text[], classes text[]) RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    about constant text[] := crm_access.each_behind(object || ' class ', classes) || crm_access.each_behind('* class ', classes)
        || crm_access.each_behind(object || ' field ', fields) || crm_access.each_behind('* field ', fields);
BEGIN
    IF NOT EXISTS (SELECT FROM crm_access.guardrail_rule AS g WHERE g.tenant = ceilings_of.tenant AND g.subjects && about) THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT array_agg(coalesce((
            SELECT min(crm_access.rank_of(g.rule -> 'cap' ->> 'level')) FROM crm_access.guardrail_rule AS g
            WHERE g.tenant = ceilings_of.tenant AND g.subjects && ARRAY[
                object || ' class ' || n.class, '* class ' || n.class, object || ' field ' || n.name, '* field ' || n.name]), 3) ORDER BY n.place)
        FROM unnest(fields, classes) WITH ORDINALITY AS n (name, class, place));
END
$$;

CREATE FUNCTION crm_access.shown_to_asker(tenant text, object text, fields text[]) RETURNS crm_access.shown
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant crm_access.asker := crm_access.asker(tenant);
    seen crm_access.shown;
    classes text[];
    usual text;
    ceilings integer[];
    t record;
    w crm_access.reach;
    shared record;
BEGIN
    IF who.subject IS NULL THEN
        RETURN NULL;
    END IF;
    -- What a tuple without rules of its own lets see.
    SELECT array_agg(f.class ORDER BY n.place), string_agg(
        CASE WHEN f.class IN ('public', 'internal') THEN '11' WHEN f.class = 'confidential' THEN '10' ELSE '00' END, '' ORDER BY n.place)
    INTO classes, usual
    FROM unnest(fields) WITH ORDINALITY AS n (name, place)
    LEFT JOIN crm_access.object_field AS f
        ON f.tenant = shown_to_asker.tenant AND f.object = shown_to_asker.object AND f.field = n.name;
    seen.nothing := repeat('00', cardinality(fields))::bit varying;
    ceilings := crm_access.ceilings_of(tenant, object, fields, classes);
    FOR t IN
        SELECT b.conditions, b.levels::bit varying AS levels, crm_access.all_of(b.scopes) AS scopes, crm_access.all_of(b.owners) AS owners,
            crm_access.all_of(b.departments) AS departments, crm_access.all_of(b.department_trees) AS trees, crm_access.all_of(b.ids) AS ids
        FROM (
            SELECT l.*, CASE WHEN ceilings IS NULL AND NOT l.restricted AND l.field_rules IS NULL THEN usual
                ELSE crm_access.levels_given(fields, classes, ceilings, l.field_rules, l.restricted, l.only_fields) END AS levels
            FROM crm_access.live_tuples(shown_to_asker.tenant, who.subject, shown_to_asker.object, who.now) AS l
            WHERE l.actions && ARRAY['read', 'update']
        ) AS b
        GROUP BY b.conditions, b.levels ORDER BY b.conditions IS NOT NULL, count(*) DESC
    LOOP
        w := crm_access.widened(tenant, who.subject, t.scopes, t.owners, t.departments, t.trees, t.ids);
        IF t.conditions IS NOT NULL OR seen.levels_2 IS NOT NULL THEN
            seen.more := seen.more || ROW(w.everything, w.owners, w.participants, w.departments, w.ids,
                CASE WHEN t.conditions IS NOT NULL THEN crm_access.conditions_of(tenant, object, t.conditions) END, t.levels)::crm_access.reaching_tuple;
        ELSIF seen.levels_1 IS NULL THEN
            seen.everything_1 := w.everything;
            seen.owners_1 := w.owners;
            seen.participants_1 := w.participants;
            seen.departments_1 := w.departments;
            seen.ids_1 := w.ids;
            seen.levels_1 := t.levels;
        ELSE
            seen.everything_2 := w.everything;
            seen.owners_2 := w.owners;
            seen.participants_2 := w.participants;
            seen.departments_2 := w.departments;
            seen.ids_2 := w.ids;
            seen.levels_2 := t.levels;
        END IF;
    END LOOP;
    IF NOT EXISTS (
        SELECT FROM crm_access.share AS s WHERE s.tenant = shown_to_asker.tenant AND s.recipient = who.subject AND s.not_after > who.now
    ) THEN
        RETURN seen;
    END IF;
    shared := crm_access.shared_with(tenant, who.subject, object, 'read', fields, who.now);
    FOR i IN 1 .. coalesce(cardinality(shared.ids), 0) LOOP
        seen.more := seen.more || ROW(false, NULL, NULL, NULL, shared.ids[i:i], NULL, (
            SELECT string_agg(CASE shared.levels[i] ->> n.name WHEN 'masked' THEN '10' WHEN 'read' THEN '11' WHEN 'edit' THEN '11' ELSE '00' END, ''
                ORDER BY n.place)
            FROM unnest(fields) WITH ORDINALITY AS n (name, place))::bit varying)::crm_access.reaching_tuple;
    END LOOP;
    RETURN seen;
END
$$;

REVOKE EXECUTE ON FUNCTION crm_access.asker, crm_access.owners_within, crm_access.departments_within, crm_access.listed_by_rules,
    crm_access.levels_given, crm_access.ceilings_of, crm_access.each_behind, crm_access.all_of
FROM PUBLIC;
