-- What the operator makes in the CRM's own tables asks these functions. See docs/postgresql.md, "The CRM's own tables".

-- As before, and in microseconds: policies ask several times a query, and a bounded repetition in an expression takes
-- milliseconds to match.
CREATE OR REPLACE FUNCTION crm_access.subject(tenant text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- subject.expiry.mac, each in its one spelling. Longer than this it is none, and not worth the reading.
    token constant text := left(current_setting('crm_access.token', true), 400) COLLATE "C";
    said constant text := left(token, -65);
    mac constant text := right(token, 64);
    expiry constant text := split_part(said, '.', -1);
    name constant text := left(said, -1 - length(expiry));
    now timestamptz;
    message bytea;
BEGIN
    IF token IS DISTINCT FROM name || '.' || expiry || '.' || mac OR length(mac) <> 64 OR length(expiry) > 12 OR length(name) > 253
        OR translate(mac, '0123456789abcdef', '') <> '' OR translate(expiry, '0123456789', '') <> '' OR left(expiry, 1) IN ('', '0')
        OR name !~ '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$' THEN
        RETURN NULL;
    END IF;
    now := (SELECT c.now FROM crm_access.clock AS c);
    IF expiry::bigint <= extract(epoch FROM now) THEN
        RETURN NULL;
    END IF;
    message := convert_to('crm-access-token/v1' || chr(10) || tenant || chr(10) || said, 'UTF8');
    RETURN (
        SELECT name FROM crm_access.token_key AS k
        WHERE k.tenant = subject.tenant AND (k.not_after IS NULL OR k.not_after > now)
            -- The macs of the macs are compared: how long it takes says nothing of a mac that would be right.
            AND sha256(k.outer_block || sha256(k.outer_block || sha256(k.inner_block || message)))
                = sha256(k.outer_block || decode(mac, 'hex'))
        LIMIT 1);
END
$$;

-- Whether a text is JSON that jsonb takes, without an error where it is not: catching one takes a subtransaction, which a
-- query that runs in parallel may not have. Escapes of what is no character, and texts of more than 20,000, are not taken.
CREATE FUNCTION crm_access.is_json(said text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    a_string constant text := '"([^"\\[:cntrl:]]|\\["\\/bfnrt]|\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F])*"';
    reduced text;
    former text;
BEGIN
    IF said IS NULL OR length(said) > 20000 OR said ~* '\\u(0000|d[89a-f])' OR regexp_replace(said, a_string, '', 'g') ~ '[SV]' THEN
        RETURN false;
    END IF;
    -- Each string becomes S, each other scalar V; then what holds only these becomes V, from the inside out.
    reduced := regexp_replace(said, a_string, 'S', 'g');
    reduced := regexp_replace(reduced,
        '-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9][0-9]?[0-9]?)?(?![0-9.a-zA-Z])|(true|false|null)(?![0-9.a-zA-Z])', 'V', 'g');
    -- What white space parts is not one.
    reduced := regexp_replace(reduced, '([^][{},:[:space:]])[ \t\r\n]+(?=[^][{},:[:space:]])', '\1?', 'g');
    reduced := regexp_replace(reduced, '[ \t\r\n]+', '', 'g');
    LOOP
        former := reduced;
        reduced := regexp_replace(reduced, '\[([SV](,[SV])*)?\]|\{(S:[SV](,S:[SV])*)?\}', 'V', 'g');
        EXIT WHEN reduced = former;
    END LOOP;
    RETURN reduced IN ('S', 'V');
END
$$;

-- As before, without a subtransaction.
CREATE OR REPLACE FUNCTION crm_access.session_context() RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    said constant text := nullif(current_setting('crm_access.context', true), '');
BEGIN
    RETURN CASE WHEN said IS NULL THEN NULL WHEN crm_access.is_json(said) THEN said::jsonb ELSE '"no JSON"' END;
END
$$;

-- What a rule is about, so that a query finds with one look whether any concerns it: "customer read" of rules that deny,
-- limit, part or want approval; "customer class secret" and "customer field phone" of caps below read.
CREATE FUNCTION crm_access.subjects_of_rule(rule json) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    WITH form AS (
        SELECT form.value AS said FROM json_each(rule) AS form WHERE form.key IN ('deny', 'limit', 'approve') AND json_typeof(form.value) = 'object'
    ), list AS (
        SELECT said, objects.value AS object
        FROM form, json_array_elements_text(CASE json_typeof(said -> 'objects') WHEN 'array' THEN said -> 'objects' ELSE '[]' END) AS objects
    )
    SELECT array_agg(about ORDER BY about) FROM (
        SELECT object || ' ' || action.value AS about
        FROM list, json_array_elements_text(CASE json_typeof(said -> 'actions') WHEN 'array' THEN said -> 'actions' ELSE '[]' END) AS action
        UNION
        -- Of a list nobody knows how widely each of its records is covered.
        SELECT 'narrowly ' || object || ' ' || action.value
        FROM list, json_array_elements_text(CASE json_typeof(said -> 'actions') WHEN 'array' THEN said -> 'actions' ELSE '[]' END) AS action
        WHERE coalesce(said -> 'when' ->> 'scope_at_most', '') <> ''
        UNION
        SELECT (duty.value ->> 'object') || ' ' || (duty.value ->> 'action')
        FROM json_array_elements(
            CASE json_typeof(rule -> 'separate' -> 'duties') WHEN 'array' THEN rule -> 'separate' -> 'duties' ELSE '[]' END) AS duty
        UNION
        SELECT object.value || kind.said || name.value
        FROM json_array_elements_text(
            CASE json_typeof(rule -> 'cap' -> 'objects') WHEN 'array' THEN rule -> 'cap' -> 'objects' ELSE '[]' END) AS object,
            (VALUES ('classes', ' class '), ('fields', ' field ')) AS kind (key, said),
            json_array_elements_text(
                CASE json_typeof(rule -> 'cap' -> kind.key) WHEN 'array' THEN rule -> 'cap' -> kind.key ELSE '[]' END) AS name
        WHERE coalesce(rule -> 'cap' ->> 'level', '') NOT IN ('read', 'edit')
    ) AS subject
    WHERE about IS NOT NULL
$$;

-- What a tuple's own rules give less than read: "class public", "field name".
CREATE FUNCTION crm_access.lowered_by(rules jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(DISTINCT CASE WHEN coalesce(r.value ->> 'field', '') <> '' THEN 'field ' || (r.value ->> 'field') ELSE 'class ' || coalesce(r.value ->> 'class', '') END)
    FROM jsonb_array_elements(CASE jsonb_typeof(rules) WHEN 'array' THEN rules ELSE '[]' END) AS r
    WHERE coalesce(r.value ->> 'level', '') NOT IN ('read', 'edit')
$$;

ALTER TABLE crm_access.guardrail_rule ADD COLUMN subjects text[] GENERATED ALWAYS AS (crm_access.subjects_of_rule(rule)) STORED;
ALTER TABLE crm_access.tuple ADD COLUMN lowered text[] GENERATED ALWAYS AS (crm_access.lowered_by(field_rules)) STORED;

CREATE INDEX crm_user_manager ON crm_access.crm_user (tenant, manager);

-- Which records of an object somebody reaches. Lists that are null hold nothing. Owner, participants and department are
-- about the record that decides, ids about the record itself.
CREATE TYPE crm_access.reach AS (everything boolean, owners text[], participants text[], departments text[], ids text[]);

-- The same of one tuple, with its conditions ("column", "operator", "values"), and the level that it gives each field: of
-- each field a bit that says at least masked, then one that says at least read.
CREATE TYPE crm_access.reaching_tuple AS (
    everything boolean, owners text[], participants text[], departments text[], ids text[], conditions jsonb, levels bit varying);

-- What the operator has made for an object of a tenant.
CREATE TABLE crm_access.enforcement (
    tenant text NOT NULL,
    object text NOT NULL,
    table_name text NOT NULL,
    -- The view's schema and name, and what else was made, are worked out from tenant, object and roles.
    roles text[] NOT NULL CHECK (array_position(roles, NULL) IS NULL),
    -- The columns that may be read from the table itself, as far as this tenant is concerned.
    readable text[] NOT NULL CHECK (array_position(readable, NULL) IS NULL),
    -- Of the statements that made it.
    digest text NOT NULL,
    -- Of what the database's catalogue said afterwards: another one means that somebody has changed it.
    fingerprint text NOT NULL,
    PRIMARY KEY (tenant, object)
);

-- The tuples on an object that a user holds now. It is inlined where it is called.
CREATE FUNCTION crm_access.live_tuples(tenant text, subject text, object text, now timestamptz) RETURNS SETOF crm_access.tuple
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT t.*
    FROM crm_access.holder AS h
    JOIN crm_access.tuple AS t ON t.tenant = h.tenant AND t.bundle = h.bundle
    WHERE h.tenant = live_tuples.tenant AND h.user_name = live_tuples.subject AND t.object = live_tuples.object
        AND (h.not_before IS NULL OR h.not_before <= live_tuples.now)
        AND (h.not_after IS NULL OR h.not_after > live_tuples.now)
        AND h.revoked_by = '' AND t.revoked_by = ''
        AND EXISTS (
            SELECT FROM crm_access.crm_user AS u
            WHERE u.tenant = live_tuples.tenant AND u.user_name = live_tuples.subject AND u.state = 'Active' AND u.revoked_by = '')
        AND EXISTS (
            SELECT FROM crm_access.object_type AS o
            WHERE o.tenant = live_tuples.tenant AND o.object = live_tuples.object AND o.enabled)
$$;

-- Everybody whose reporting line contains the user.
CREATE FUNCTION crm_access.reports_of(tenant text, subject text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        WITH RECURSIVE line AS (
            SELECT u.user_name FROM crm_access.crm_user AS u WHERE u.tenant = reports_of.tenant AND u.manager = reports_of.subject
            UNION
            SELECT u.user_name
            FROM line AS l JOIN crm_access.crm_user AS u ON u.tenant = reports_of.tenant AND u.manager = l.user_name
        )
        SELECT array_agg(l.user_name) FROM line AS l WHERE l.user_name <> reports_of.subject);
END
$$;

-- The departments among the names that exist, and those in the subtrees.
CREATE FUNCTION crm_access.departments_under(tenant text, names text[], trees text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT array_agg(DISTINCT d.department) FROM (
            SELECT e.department FROM crm_access.department AS e
            WHERE e.tenant = departments_under.tenant AND e.department = ANY (departments_under.names)
            UNION ALL
            SELECT c.department FROM crm_access.department_closure AS c
            WHERE c.tenant = departments_under.tenant AND c.ancestor = ANY (departments_under.trees)
        ) AS d);
END
$$;

-- What one tuple's, or several tuples', scopes and selections come to for a user.
CREATE FUNCTION crm_access.widened(
    tenant text, subject text, scopes text[], owners text[], departments text[], trees text[], ids text[]
) RETURNS crm_access.reach
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    reached crm_access.reach;
    mine text[];
BEGIN
    IF 'all' = ANY (scopes) THEN
        reached.everything := true;
        RETURN reached;
    END IF;
    reached.owners := owners;
    IF 'own' = ANY (scopes) THEN
        reached.owners := reached.owners || subject;
    END IF;
    IF 'subordinates' = ANY (scopes) THEN
        reached.owners := reached.owners || crm_access.reports_of(tenant, subject);
    END IF;
    IF 'involved' = ANY (scopes) THEN
        reached.participants := ARRAY[subject];
    END IF;
    IF scopes && ARRAY['department', 'departmentAndBelow'] THEN
        SELECT array_agg(m.department) INTO mine FROM crm_access.user_department AS m
        WHERE m.tenant = widened.tenant AND m.user_name = widened.subject;
        IF 'department' = ANY (scopes) THEN
            departments := departments || mine;
        END IF;
        IF 'departmentAndBelow' = ANY (scopes) THEN
            trees := trees || mine;
        END IF;
    END IF;
    IF departments <> '{}' OR trees <> '{}' THEN
        reached.departments := crm_access.departments_under(tenant, departments, trees);
    END IF;
    reached.ids := ids;
    RETURN reached;
END
$$;

-- Whether the question without a record is answered with yes, its grants left aside: what Filter asks first. A rule that
-- is about it is asked with all that it wants to know; where there is none, nothing is asked. Of actions that need a
-- record each record is decided by itself, when it is written.
CREATE FUNCTION crm_access.may_list(tenant text, subject text, object text, action text, directly text[], now timestamptz)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF directly IS NOT NULL AND EXISTS (
        SELECT FROM crm_access.guardrail_rule AS g
        WHERE g.tenant = may_list.tenant AND g.subjects && (
            SELECT array_agg(o.name || ' ' || d.said) FROM unnest(ARRAY[may_list.object, '*']) AS o (name), unnest(directly) AS d (said))
    ) THEN
        RETURN false;
    END IF;
    IF action IN ('read', 'export') AND EXISTS (
        SELECT FROM crm_access.guardrail_rule AS g
        WHERE g.tenant = may_list.tenant AND g.subjects && ARRAY[
            'narrowly ' || object || ' ' || action, 'narrowly ' || object || ' *', 'narrowly * ' || action, 'narrowly * *']
    ) THEN
        RETURN false;
    END IF;
    IF action NOT IN ('read', 'export') OR NOT EXISTS (
        SELECT FROM crm_access.guardrail_rule AS g
        WHERE g.tenant = may_list.tenant
            AND g.subjects && ARRAY[object || ' ' || action, object || ' *', '* ' || action, '* *']
    ) THEN
        RETURN true;
    END IF;
    RETURN (SELECT d.decision = 'allow' FROM crm_access.decide_as(
        tenant, subject, action, object, NULL, '{}', crm_access.session_context(), now) AS d);
END
$$;

-- The records that others share with a user for an action, each decided by itself, and the levels of the fields there.
CREATE FUNCTION crm_access.shared_with(
    tenant text, subject text, object text, action text, fields text[], now timestamptz, OUT ids text[], OUT levels jsonb[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    SELECT array_agg(s.record_id), array_agg(d.levels) INTO ids, levels
    FROM (
        SELECT DISTINCT h.record_id FROM crm_access.share AS h
        WHERE h.tenant = shared_with.tenant AND h.recipient = shared_with.subject AND h.object = shared_with.object
            AND shared_with.action = ANY (h.actions) AND h.not_before <= shared_with.now AND h.not_after > shared_with.now
    ) AS s
    CROSS JOIN LATERAL crm_access.decide_as(shared_with.tenant, shared_with.subject, shared_with.action, shared_with.object,
        jsonb_build_object('id', s.record_id), shared_with.fields, crm_access.session_context(), shared_with.now) AS d
    WHERE d.decision = 'allow';
END
$$;

-- The records of an object that whoever the token names reaches by an action, through tuples with just these conditions;
-- null means those without any, and what is shared. With directly, only through tuples that let read all of what it names.
CREATE FUNCTION crm_access.reach_of(tenant text, object text, action text, conditions jsonb, directly text[])
RETURNS crm_access.reach
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := (SELECT c.now FROM crm_access.clock AS c);
    subject constant text := crm_access.subject(tenant);
    scopes text[] := '{}';
    owners text[] := '{}';
    departments text[] := '{}';
    trees text[] := '{}';
    ids text[] := '{}';
    t record;
    held boolean := false;
    shared record;
BEGIN
    IF subject IS NULL THEN
        RETURN NULL;
    END IF;
    FOR t IN
        SELECT b.scopes, b.owners, b.departments, b.department_trees, b.ids
        FROM crm_access.live_tuples(reach_of.tenant, subject, reach_of.object, now) AS b
        WHERE reach_of.action = ANY (b.actions)
            AND b.conditions IS NOT DISTINCT FROM reach_of.conditions
            AND (reach_of.directly IS NULL OR NOT b.restricted AND (b.lowered && reach_of.directly) IS NOT TRUE)
    LOOP
        held := true;
        scopes := scopes || t.scopes;
        owners := owners || t.owners;
        departments := departments || t.departments;
        trees := trees || t.department_trees;
        ids := ids || t.ids;
    END LOOP;
    -- Of what is shared the table itself shows nothing: a share may be of a few fields.
    IF conditions IS NULL AND directly IS NULL AND EXISTS (
        SELECT FROM crm_access.share AS h WHERE h.tenant = reach_of.tenant AND h.recipient = subject AND h.not_after > now
    ) THEN
        shared := crm_access.shared_with(tenant, subject, object, action, '{}', now);
        held := held OR shared.ids IS NOT NULL;
        ids := ids || shared.ids;
    END IF;
    IF NOT held OR NOT crm_access.may_list(tenant, subject, object, action, directly, now) THEN
        RETURN NULL;
    END IF;
    RETURN crm_access.widened(tenant, subject, scopes, owners, departments, trees, ids);
END
$$;

-- Conditions with the columns that they are about, instead of the fields.
CREATE FUNCTION crm_access.conditions_of(tenant text, object text, conditions jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT jsonb_agg(c.value || jsonb_build_object(
            'fact', c.value ->> 'field' IN (o.owner_field, o.department_field),
            'column', CASE c.value ->> 'field'
                WHEN o.owner_field THEN s.owner_column
                WHEN o.department_field THEN s.department_column
                ELSE coalesce(s.columns ->> (c.value ->> 'field'), c.value ->> 'field')
            END))
        FROM jsonb_array_elements(conditions) AS c, crm_access.object_type AS o, crm_access.object_storage AS s
        WHERE o.tenant = conditions_of.tenant AND o.object = conditions_of.object
            AND s.tenant = conditions_of.tenant AND s.object = conditions_of.object);
END
$$;

-- Whether a row meets all of the conditions. What is not there makes every condition false.
CREATE FUNCTION crm_access.row_meets(conditions jsonb, columns jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c jsonb;
    said jsonb;
    among boolean;
BEGIN
    IF conditions IS NULL THEN
        RETURN true;
    END IF;
    FOR c IN SELECT e.value FROM jsonb_array_elements(conditions) AS e LOOP
        said := columns -> (c ->> 'column');
        IF said IS NULL OR said IN ('null', '[]') OR said = '""' AND coalesce((c -> 'fact')::boolean, false) THEN
            RETURN false;
        END IF;
        IF jsonb_typeof(said) <> 'array' THEN
            said := jsonb_build_array(said);
        END IF;
        among := EXISTS (
            SELECT FROM jsonb_array_elements_text(said) AS s
            WHERE s.value IN (SELECT v.value FROM jsonb_array_elements_text(coalesce(c -> 'values', '[]')) AS v));
        IF (CASE c ->> 'operator' WHEN 'In' THEN NOT among WHEN 'NotIn' THEN among WHEN 'Exists' THEN false ELSE true END) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;

-- Whether one of the tuples takes a record in.
CREATE FUNCTION crm_access.takes_in(
    tuples crm_access.reaching_tuple[], id text, owner text, department text, participants text[], columns jsonb
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t crm_access.reaching_tuple;
BEGIN
    IF tuples IS NULL THEN
        RETURN false;
    END IF;
    FOREACH t IN ARRAY tuples LOOP
        IF (t.everything OR owner = ANY (t.owners) OR department = ANY (t.departments) OR id = ANY (t.ids)
                OR participants && t.participants)
            AND crm_access.row_meets(t.conditions, columns) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;

-- The tuples with conditions, each by itself, but for those with just one of the sets in known: somebody else asks for
-- these.
CREATE FUNCTION crm_access.conditioned_reach_of(tenant text, object text, action text, known jsonb, directly text[])
RETURNS crm_access.reaching_tuple[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := (SELECT c.now FROM crm_access.clock AS c);
    subject constant text := crm_access.subject(tenant);
    tuples crm_access.reaching_tuple[];
    t record;
    w crm_access.reach;
BEGIN
    IF subject IS NULL THEN
        RETURN NULL;
    END IF;
    FOR t IN
        SELECT DISTINCT b.scopes, b.owners, b.departments, b.department_trees, b.ids, b.conditions
        FROM crm_access.live_tuples(conditioned_reach_of.tenant, subject, conditioned_reach_of.object, now) AS b
        WHERE conditioned_reach_of.action = ANY (b.actions) AND b.conditions IS NOT NULL
            AND NOT b.conditions IN (SELECT k.value FROM jsonb_array_elements(conditioned_reach_of.known) AS k)
            AND (conditioned_reach_of.directly IS NULL
                OR NOT b.restricted AND (b.lowered && conditioned_reach_of.directly) IS NOT TRUE)
    LOOP
        w := crm_access.widened(tenant, subject, t.scopes, t.owners, t.departments, t.department_trees, t.ids);
        tuples := tuples || ROW(w.everything, w.owners, w.participants, w.departments, w.ids,
            crm_access.conditions_of(tenant, object, t.conditions), NULL)::crm_access.reaching_tuple;
    END LOOP;
    IF tuples IS NULL OR NOT crm_access.may_list(tenant, subject, object, action, directly, now) THEN
        RETURN NULL;
    END IF;
    RETURN tuples;
END
$$;

-- A level's place in their order. What cannot be read is none.
CREATE FUNCTION crm_access.rank_of(level text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE level WHEN 'masked' THEN 1 WHEN 'read' THEN 2 WHEN 'edit' THEN 3 ELSE 0 END;

-- What each tuple on an object that whoever the token names holds, whatever its actions, lets see of the fields on the
-- records that it takes in. Tuples of one content are one.
CREATE FUNCTION crm_access.shown_by(tenant text, object text, fields text[]) RETURNS crm_access.reaching_tuple[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := (SELECT c.now FROM crm_access.clock AS c);
    subject constant text := crm_access.subject(tenant);
    classes text[];
    ceilings integer[];
    tuples crm_access.reaching_tuple[];
    shared record;
    t record;
    w crm_access.reach;
BEGIN
    IF subject IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(f.class ORDER BY n.place), array_agg(coalesce((
        SELECT min(crm_access.rank_of(g.rule -> 'cap' ->> 'level')) FROM crm_access.guardrail_rule AS g
        WHERE g.tenant = shown_by.tenant AND g.subjects && ARRAY[
            shown_by.object || ' class ' || f.class, '* class ' || f.class,
            shown_by.object || ' field ' || n.name, '* field ' || n.name]), 3) ORDER BY n.place)
    INTO classes, ceilings
    FROM unnest(shown_by.fields) WITH ORDINALITY AS n (name, place)
    LEFT JOIN crm_access.object_field AS f
        ON f.tenant = shown_by.tenant AND f.object = shown_by.object AND f.field = n.name;
    FOR t IN
        SELECT DISTINCT b.scopes, b.owners, b.departments, b.department_trees, b.ids, b.conditions, (
            SELECT string_agg(
                CASE least(ceilings[n.place], CASE
                    WHEN classes[n.place] IS NULL OR b.restricted AND n.name <> ALL (coalesce(b.only_fields, '{}')) THEN 0
                    ELSE coalesce(
                        (SELECT crm_access.rank_of(r.value ->> 'level')
                            FROM jsonb_array_elements(b.field_rules) WITH ORDINALITY AS r (value, place)
                            WHERE r.value ->> 'field' = n.name ORDER BY r.place LIMIT 1),
                        (SELECT crm_access.rank_of(r.value ->> 'level')
                            FROM jsonb_array_elements(b.field_rules) WITH ORDINALITY AS r (value, place)
                            WHERE coalesce(r.value ->> 'field', '') = '' AND r.value ->> 'class' = classes[n.place]
                            ORDER BY r.place LIMIT 1),
                        CASE WHEN classes[n.place] IN ('public', 'internal') THEN 3 WHEN classes[n.place] = 'confidential' THEN 1 ELSE 0 END)
                    END)
                WHEN 0 THEN '00' WHEN 1 THEN '10' ELSE '11' END, '' ORDER BY n.place)
            FROM unnest(shown_by.fields) WITH ORDINALITY AS n (name, place)
        ) AS levels
        FROM crm_access.live_tuples(shown_by.tenant, subject, shown_by.object, now) AS b
        WHERE b.actions && ARRAY['read', 'update']
    LOOP
        w := crm_access.widened(tenant, subject, t.scopes, t.owners, t.departments, t.department_trees, t.ids);
        tuples := tuples || ROW(w.everything, w.owners, w.participants, w.departments, w.ids,
            CASE WHEN t.conditions IS NOT NULL THEN crm_access.conditions_of(tenant, object, t.conditions) END,
            t.levels::bit varying)::crm_access.reaching_tuple;
    END LOOP;
    shared := crm_access.shared_with(tenant, subject, object, 'read', fields, now);
    FOR i IN 1 .. coalesce(cardinality(shared.ids), 0) LOOP
        tuples := tuples || ROW(false, NULL, NULL, NULL, shared.ids[i:i], NULL, (
            SELECT string_agg(CASE shared.levels[i] ->> n.name WHEN 'masked' THEN '10' WHEN 'read' THEN '11' WHEN 'edit' THEN '11' ELSE '00' END, ''
                ORDER BY n.place)
            FROM unnest(shown_by.fields) WITH ORDINALITY AS n (name, place))::bit varying)::crm_access.reaching_tuple;
    END LOOP;
    RETURN tuples;
END
$$;

-- The ids that can be one of a column of integers, as it would write them: 007 is not 7.
CREATE FUNCTION crm_access.integers_of(ids text[], lowest bigint, highest bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(i.id::bigint) FROM unnest(ids) AS i (id)
    WHERE CASE WHEN i.id ~ '^(0|-?[1-9][0-9]{0,18})$' THEN i.id::numeric BETWEEN lowest AND highest ELSE false END
$$;

-- The same of a column of uuids.
CREATE FUNCTION crm_access.uuids_of(ids text[]) RETURNS uuid[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(i.id::uuid) FROM unnest(ids) AS i (id)
    WHERE i.id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
$$;

-- What the planner is to expect: whether whoever the token names reaches everything. It is asked while a query is planned,
-- so that who sees all gets the plan for that, and it decides nothing.
CREATE FUNCTION crm_access.expects_everything(tenant text, object text, action text, directly text[]) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 0.1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := (SELECT c.now FROM crm_access.clock AS c);
    subject constant text := crm_access.subject(tenant);
BEGIN
    RETURN subject IS NOT NULL AND EXISTS (
        SELECT FROM crm_access.live_tuples(expects_everything.tenant, subject, expects_everything.object, now) AS t
        WHERE expects_everything.action = ANY (t.actions) AND 'all' = ANY (t.scopes) AND t.conditions IS NULL
            AND (expects_everything.directly IS NULL OR NOT t.restricted AND (t.lowered && expects_everything.directly) IS NOT TRUE));
END
$$;

-- The greatest id of an object's table, for those who reach everything, or something by conditions that are not known;
-- null for others. Of text no greatest can be written
-- down: which is greater depends on the collation.
CREATE FUNCTION crm_access.last_id(tenant text, object text, action text, conditions jsonb, directly text[], known jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s crm_access.object_storage;
    last text;
BEGIN
    IF (CASE WHEN known IS NULL THEN (crm_access.reach_of(tenant, object, action, conditions, directly)).everything IS NOT TRUE
        ELSE crm_access.conditioned_reach_of(tenant, object, action, known, directly) IS NULL END) THEN
        RETURN NULL;
    END IF;
    SELECT e.* INTO s FROM crm_access.object_storage AS e
    WHERE e.tenant = last_id.tenant AND e.object = last_id.object
        AND EXISTS (SELECT FROM crm_access.enforcement AS m WHERE m.tenant = e.tenant AND m.object = e.object AND m.table_name = e.table_name);
    IF s.object IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT max(t.%I)::text FROM %s AS t', s.id_column, crm_access.quoted_table(s.table_name)) INTO last;
    RETURN last;
END
$$;

-- A table as declared, quoted. Without a schema it is the one in public.
CREATE FUNCTION crm_access.quoted_table(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN strpos(name, '.') = 0 THEN format('public.%I', name)
        ELSE format('%I.%I', split_part(name, '.', 1), split_part(name, '.', 2)) END
$$;

-- What somebody with level masked sees of a value: see docs/spec/objecttype.md. Null shows that there is nothing to see.
CREATE FUNCTION crm_access.masked(value text, type text, keep_first integer, keep_last integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN value IS NULL OR value = '' THEN value
        WHEN type = 'Keep' AND length(value) > keep_first + keep_last
            THEN left(value, keep_first) || '****' || right(value, keep_last)
        WHEN type = 'Email' AND value ~ '^[^@]{3,}@[^@]+$' THEN left(value, 2) || '****' || substr(value, strpos(value, '@'))
        WHEN type = 'Email' AND value ~ '^[^@]+@[^@]+$' THEN '****' || substr(value, strpos(value, '@'))
        WHEN type = 'Year' AND value ~ '^[0-9]{4}-' THEN left(value, 4)
        WHEN type IN ('Keep', 'Email', 'Year', 'Listed') THEN '****'
    END
$$;

-- Which records of an object whoever the token names reaches by an action now: everything, or those that one of the lists
-- takes in, or one of the tuples with conditions.
CREATE FUNCTION crm_access.visible(object text, action text,
    OUT everything boolean, OUT owners text[], OUT participants text[], OUT departments text[], OUT ids text[],
    OUT conditioned crm_access.reaching_tuple[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant constant text := (crm_access.asking()).tenant;
    reached constant crm_access.reach := crm_access.reach_of(tenant, object, action, NULL, NULL);
BEGIN
    everything := coalesce(reached.everything, false);
    owners := reached.owners;
    participants := reached.participants;
    departments := reached.departments;
    ids := reached.ids;
    conditioned := crm_access.conditioned_reach_of(tenant, object, action, '[]', NULL);
END
$$;

-- A new row of an object's table as decisions know records. Of one that is there they look it up.
CREATE FUNCTION crm_access.proposed(tenant text, object text, given jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT jsonb_strip_nulls(coalesce((
            SELECT jsonb_object_agg(f.field, given -> coalesce(s.columns ->> f.field, f.field))
            FROM crm_access.object_field AS f WHERE f.tenant = proposed.tenant AND f.object = proposed.object), '{}')
            || jsonb_build_object('id', given ->> s.id_column, 'owner', given ->> s.owner_column,
                'department', given ->> s.department_column, 'participants', given -> s.participants_column,
                'creator', given ->> s.creator_column))
        FROM crm_access.object_storage AS s WHERE s.tenant = proposed.tenant AND s.object = proposed.object);
END
$$;

-- Raises unless whoever the token names may do the action to the record, with the session's context; target says where a
-- record is to go.
CREATE FUNCTION crm_access.require(tenant text, object text, action text, record jsonb, fields text[], target jsonb) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    subject constant text := crm_access.subject(tenant);
    now constant timestamptz := (SELECT c.now FROM crm_access.clock AS c);
    context jsonb := crm_access.session_context();
    decision text := 'deny';
BEGIN
    IF subject IS NULL THEN
        RAISE EXCEPTION '% of %: no token says who asks', action, object
            USING ERRCODE = 'insufficient_privilege', HINT = 'Set crm_access.token.';
    END IF;
    IF target IS NOT NULL AND coalesce(jsonb_typeof(context), 'object') = 'object' THEN
        context := coalesce(context, '{}') || jsonb_build_object('target', target);
    END IF;
    SELECT d.decision INTO decision
    FROM crm_access.decide_as(tenant, subject, action, object, record, fields, context, now) AS d;
    IF decision IS DISTINCT FROM 'allow' THEN
        RAISE EXCEPTION '% of % %: %', action, object, coalesce(record ->> 'id', ''),
            CASE decision WHEN 'needs-approval' THEN 'needs an approval' ELSE 'denied' END
            USING ERRCODE = 'insufficient_privilege',
            DETAIL = CASE WHEN fields <> '{}' THEN 'fields: ' || array_to_string(fields, ', ') ELSE '' END,
            HINT = 'crm_access.explain says why.';
    END IF;
END
$$;

-- Raises unless a row may become another. What changes of fields is an update that names them; a change of owner or
-- department is an assignment of what nobody owned, and else a transfer. It says whether the row is to stay where the
-- subject may update it: whoever may transfer it may let it go.
CREATE FUNCTION crm_access.require_change(tenant text, object text, before jsonb, after jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    s crm_access.object_storage;
    actions text[];
    held jsonb;
    fields text[];
    fixed text;
    moves boolean;
BEGIN
    SELECT e.* INTO s FROM crm_access.object_storage AS e WHERE e.tenant = require_change.tenant AND e.object = require_change.object;
    held := jsonb_build_object('id', before ->> s.id_column);
    SELECT o.actions INTO actions FROM crm_access.object_type AS o WHERE o.tenant = require_change.tenant AND o.object = require_change.object;
    SELECT array_agg(f.field ORDER BY f.field) INTO fields FROM crm_access.object_field AS f
    WHERE f.tenant = require_change.tenant AND f.object = require_change.object
        AND coalesce(s.columns ->> f.field, f.field) NOT IN (s.owner_column, s.department_column)
        AND before -> coalesce(s.columns ->> f.field, f.field) IS DISTINCT FROM after -> coalesce(s.columns ->> f.field, f.field);
    SELECT c.name INTO fixed FROM unnest(ARRAY[s.id_column, s.tenant_column, s.creator_column]
        || CASE WHEN EXISTS (
            SELECT FROM crm_access.object_field AS f WHERE f.tenant = require_change.tenant AND f.object = require_change.object
                AND coalesce(s.columns ->> f.field, f.field) = s.participants_column) THEN '' ELSE s.participants_column END) AS c (name)
    WHERE c.name <> '' AND before -> c.name IS DISTINCT FROM after -> c.name LIMIT 1;
    IF fixed IS NOT NULL THEN
        RAISE EXCEPTION 'update of % %: column % is not to be changed', object, held ->> 'id', fixed
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    moves := before -> s.owner_column IS DISTINCT FROM after -> s.owner_column
        OR before -> s.department_column IS DISTINCT FROM after -> s.department_column;
    IF fields IS NOT NULL THEN
        PERFORM crm_access.require(tenant, object, 'update', held, fields, NULL);
    END IF;
    IF moves THEN
        PERFORM crm_access.require(tenant, object,
            CASE WHEN 'assign' = ANY (actions) AND (coalesce(before ->> s.owner_column, '') = '' OR NOT 'transfer' = ANY (actions))
                THEN 'assign' ELSE 'transfer' END,
            held, '{}', jsonb_strip_nulls(jsonb_build_object(
                'user', nullif(after ->> s.owner_column, ''), 'department', nullif(after ->> s.department_column, ''))));
    END IF;
    RETURN fields IS NOT NULL AND NOT moves;
END
$$;

-- What is to be written of a new row: the creator is whoever the token names, the tenant its own. Raises unless it may be
-- created with the fields that are not null.
CREATE FUNCTION crm_access.require_creation(tenant text, object text, given jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    s crm_access.object_storage;
    fields text[];
BEGIN
    SELECT e.* INTO s FROM crm_access.object_storage AS e WHERE e.tenant = require_creation.tenant AND e.object = require_creation.object;
    given := jsonb_strip_nulls(given);
    IF s.creator_column <> '' AND coalesce(given ->> s.creator_column, '') NOT IN ('', crm_access.subject(tenant)) THEN
        RAISE EXCEPTION 'create of %: the creator is whoever creates it', object USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF s.tenant_column <> '' AND coalesce(given ->> s.tenant_column, s.tenant_value) <> s.tenant_value THEN
        RAISE EXCEPTION 'create of %: the record would be another tenant''s', object USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT array_agg(f.field ORDER BY f.field) INTO fields FROM crm_access.object_field AS f
    WHERE f.tenant = require_creation.tenant AND f.object = require_creation.object
        AND coalesce(s.columns ->> f.field, f.field) NOT IN (s.id_column, s.tenant_column, s.creator_column)
        AND given ? coalesce(s.columns ->> f.field, f.field);
    IF s.creator_column <> '' THEN
        given := given || jsonb_build_object(s.creator_column, crm_access.subject(tenant));
    END IF;
    IF s.tenant_column <> '' THEN
        given := given || jsonb_build_object(s.tenant_column, s.tenant_value);
    END IF;
    PERFORM crm_access.require(tenant, object, 'create', crm_access.proposed(tenant, object, given), coalesce(fields, '{}'), NULL);
    RETURN given;
END
$$;

-- On the CRM's own table, for those whom row-level security binds: decides each row that is written, and of one that was
-- updated whether it is still where the subject may update it.
CREATE FUNCTION crm_access.guard_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before constant jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after constant jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    s crm_access.object_storage;
BEGIN
    SELECT e.* INTO s FROM crm_access.object_storage AS e
    JOIN crm_access.enforcement AS m ON m.tenant = e.tenant AND m.object = e.object
    WHERE to_regclass(crm_access.quoted_table(m.table_name)) = TG_RELID
        AND (e.tenant_column = '' OR coalesce(before, after) ->> e.tenant_column = e.tenant_value);
    IF s.object IS NULL THEN
        RAISE EXCEPTION '% of a row of %: it is no tenant''s', lower(TG_OP), TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    CASE TG_OP
        WHEN 'INSERT' THEN
            RETURN jsonb_populate_record(NEW, crm_access.require_creation(s.tenant, s.object, after));
        WHEN 'UPDATE' THEN
            IF TG_WHEN = 'AFTER' THEN
                PERFORM crm_access.require(s.tenant, s.object, 'update', jsonb_build_object('id', after ->> s.id_column), '{}', NULL);
            ELSE
                PERFORM crm_access.require_change(s.tenant, s.object, before, after);
            END IF;
            RETURN NEW;
        ELSE
            PERFORM crm_access.require(s.tenant, s.object, 'delete', jsonb_build_object('id', before ->> s.id_column), '{}', NULL);
            RETURN OLD;
    END CASE;
END
$$;

-- On a masked view: what is written goes to the table. What was shown and comes back as it was shown changes nothing, be
-- it a value, a mask or a null.
CREATE FUNCTION crm_access.write_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant constant text := TG_ARGV[0];
    object constant text := TG_ARGV[1];
    s crm_access.object_storage;
    place text;
    before jsonb;
    changes jsonb;
    id jsonb;
    stays boolean;
BEGIN
    SELECT e.* INTO s FROM crm_access.object_storage AS e WHERE e.tenant = TG_ARGV[0] AND e.object = TG_ARGV[1];
    IF s.object IS NULL THEN
        RAISE EXCEPTION '% of %: the object has no table any more', lower(TG_OP), object USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'INSERT' THEN
        changes := crm_access.require_creation(tenant, object, to_jsonb(NEW));
        EXECUTE format('INSERT INTO %1$s AS t (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1) RETURNING to_jsonb(t.%3$I)',
            crm_access.quoted_table(s.table_name), (SELECT string_agg(quote_ident(k.name), ', ') FROM jsonb_object_keys(changes) AS k (name)), s.id_column)
            INTO id USING changes;
        RETURN jsonb_populate_record(NEW, jsonb_build_object(s.id_column, id));
    END IF;
    place := format('%1$s AS t WHERE t.%2$I = ($1).%2$I', crm_access.quoted_table(s.table_name), s.id_column)
        || CASE WHEN s.tenant_column <> '' THEN format(' AND t.%I = %L', s.tenant_column, s.tenant_value) ELSE '' END;
    -- Locked: what is decided on is what is changed.
    EXECUTE 'SELECT to_jsonb(t.*) FROM ' || place || ' FOR UPDATE' INTO before USING OLD;
    IF before IS NULL THEN
        RETURN NULL; -- somebody else was first
    END IF;
    IF TG_OP = 'DELETE' THEN
        PERFORM crm_access.require(tenant, object, 'delete', jsonb_build_object('id', before ->> s.id_column), '{}', NULL);
        EXECUTE 'DELETE FROM ' || place USING OLD;
        RETURN OLD;
    END IF;
    SELECT jsonb_object_agg(n.key, n.value) INTO changes
    FROM jsonb_each(to_jsonb(NEW)) AS n WHERE n.value IS DISTINCT FROM to_jsonb(OLD) -> n.key;
    IF changes IS NULL THEN
        RETURN NEW;
    END IF;
    stays := crm_access.require_change(tenant, object, before, before || changes);
    EXECUTE format('UPDATE %s AS t SET %s WHERE t.%3$I = ($1).%3$I', crm_access.quoted_table(s.table_name),
        (SELECT string_agg(format('%1$I = ($2).%1$I', k.name), ', ') FROM jsonb_object_keys(changes) AS k (name)), s.id_column)
        || CASE WHEN s.tenant_column <> '' THEN format(' AND t.%I = %L', s.tenant_column, s.tenant_value) ELSE '' END
        USING OLD, NEW;
    IF stays THEN
        PERFORM crm_access.require(tenant, object, 'update', jsonb_build_object('id', before ->> s.id_column), '{}', NULL);
    END IF;
    RETURN NEW;
END
$$;

-- What the functions above are made of is nobody's to call. What policies and views ask, whoever may read these may ask:
-- it tells people what they reach themselves.
REVOKE EXECUTE ON FUNCTION
    crm_access.is_json(text), crm_access.live_tuples(text, text, text, timestamptz), crm_access.reports_of(text, text), crm_access.departments_under(text, text[], text[]),
    crm_access.widened(text, text, text[], text[], text[], text[], text[]), crm_access.may_list(text, text, text, text, text[], timestamptz),
    crm_access.conditions_of(text, text, jsonb), crm_access.proposed(text, text, jsonb), crm_access.shared_with(text, text, text, text, text[], timestamptz),
    crm_access.require(text, text, text, jsonb, text[], jsonb), crm_access.require_change(text, text, jsonb, jsonb),
    crm_access.require_creation(text, text, jsonb), crm_access.rank_of(text), crm_access.quoted_table(text)
FROM PUBLIC;
