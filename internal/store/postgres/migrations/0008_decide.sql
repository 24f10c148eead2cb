-- Decisions in SQL, as the engine makes them: see docs/postgresql.md. The names follow internal/access; what one of them
-- says, the other does, and a test holds them together. Whoever calls gets here by a function that has its owner's rights
-- (decide, explain, field_levels); the others are its parts, and nobody else's.

-- A rule as it is asked for at every decision: taking the text apart each time costs more than all else. The text stays
-- what was written.
ALTER TABLE crm_access.guardrail_rule ADD COLUMN parsed jsonb GENERATED ALWAYS AS (rule::jsonb) STORED;

-- A field level as a number, so that the wider one is the greater. What cannot be read is none.
CREATE FUNCTION crm_access.level_of(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT coalesce(array_position(ARRAY['none', 'masked', 'read', 'edit'], name), 1) - 1
$$;

CREATE FUNCTION crm_access.level_name(level integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT (ARRAY['none', 'masked', 'read', 'edit'])[level + 1]
$$;

-- The scopes, narrowest first.
CREATE FUNCTION crm_access.scopes() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT ARRAY['own', 'involved', 'subordinates', 'department', 'departmentAndBelow', 'all']
$$;

-- An instant as manifests write it.
CREATE FUNCTION crm_access.instant_text(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

-- A member that is a text, or ''. What is no text is not known.
CREATE FUNCTION crm_access.text_of(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' ELSE '' END
$$;

-- A list of texts; what is none is empty.
CREATE FUNCTION crm_access.texts_of(value jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT ARRAY(
    SELECT e #>> '{}' FROM jsonb_array_elements(CASE WHEN jsonb_typeof(value) = 'array' THEN value END) AS e
    WHERE jsonb_typeof(e) = 'string')
$$;

-- An attribute as the engine compares it: texts. Null is no value.
CREATE FUNCTION crm_access.attribute_values(value jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF jsonb_typeof(value) = 'object' THEN
        value := value -> 'id'; -- a reference counts as the id that it names
    END IF;
    RETURN CASE jsonb_typeof(value)
        WHEN 'string' THEN ARRAY[value #>> '{}']
        WHEN 'boolean' THEN ARRAY[value #>> '{}']
        WHEN 'number' THEN ARRAY[trim_scale((value #>> '{}')::numeric)::text]
        WHEN 'array' THEN (
            SELECT CASE WHEN bool_and(jsonb_typeof(e) = 'string') THEN array_agg(e #>> '{}') END
            FROM jsonb_array_elements(value) AS e)
    END;
END
$$;

-- What is asked, and what is known of it.
CREATE TYPE crm_access.question AS (
    tenant text,
    subject text,
    action text,
    object text,
    at timestamptz,
    context jsonb,
    -- The record asked about; null asks whether any could be covered. id and creator are its own.
    record jsonb,
    id text,
    creator text,
    -- The record that decides, which may be a parent; null where it is not known. '' and null are unknown. A department
    -- counts where it is declared.
    scoped jsonb,
    owner text,
    department text,
    -- The department and those above it.
    departments text[],
    -- The scopes by which the subject stands to the record, narrowest first; of a list all.
    covered text[],
    owner_field text,
    department_field text,
    -- The rules of guardrails, in their order, each with its guardrail's name.
    guardrails text[],
    rules jsonb[]
);

-- A live tuple that takes the record in, and by what.
CREATE TYPE crm_access.coverage AS (
    owner_kind text,
    owner_name text,
    path text,
    origin text,
    not_after timestamptz,
    -- Whether it gives the action asked for.
    answers boolean,
    -- How widely: the place of its widest scope, 8 for a selection of records.
    reach integer,
    span text,
    actions text[],
    field_rules jsonb,
    restricted boolean,
    only_fields text[],
    -- Where it is somebody else's, who shares the record: how explanations begin, and the most that the share gives.
    shared text,
    most integer,
    share_restricted boolean,
    share_fields text[]
);

-- Whether a target of a rule names what is asked. No target names nothing.
CREATE FUNCTION crm_access.is_about(target jsonb, object text, action text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT coalesce(target -> 'objects' ?| ARRAY[object, '*'] AND target -> 'actions' ?| ARRAY[action, '*'], false)
$$;

-- What is wrong with a context; null where nothing is. What a rule reads must not be guessed.
CREATE FUNCTION crm_access.context_fault(context jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    name text;
    value jsonb;
BEGIN
    IF jsonb_typeof(context) <> 'object' THEN
        RETURN 'context: want an object';
    END IF;
    FOREACH name IN ARRAY ARRAY['channel', 'device', 'reason', 'approval'] LOOP
        IF jsonb_typeof(context -> name) NOT IN ('string', 'null') THEN
            RETURN format('context.%s: want a text', name);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY ARRAY['rows', 'used', 'owned'] LOOP
        value := context -> name;
        IF jsonb_typeof(value) = 'number' AND value::numeric BETWEEN 0 AND 9223372036854775807 AND scale(value::numeric) = 0 THEN
            CONTINUE;
        END IF;
        IF jsonb_typeof(value) <> 'null' THEN
            RETURN format('context.%s: want a whole number, zero or more', name);
        END IF;
    END LOOP;
    IF jsonb_typeof(context -> 'target') NOT IN ('object', 'null') THEN
        RETURN 'context.target: want an object';
    END IF;
    FOREACH name IN ARRAY ARRAY['user', 'department'] LOOP
        IF jsonb_typeof(context -> 'target' -> name) NOT IN ('string', 'null') THEN
            RETURN format('context.target.%s: want a text', name);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- Whether the reporting line of owner contains the subject. A line that goes round has no top, and contains nobody.
CREATE FUNCTION crm_access.leads(tenant text, subject text, owner text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    below text := owner;
    line text[] := '{}';
    manager text;
BEGIN
    LOOP
        SELECT u.manager INTO manager FROM crm_access.crm_user AS u WHERE u.tenant = leads.tenant AND u.user_name = below LIMIT 1;
        IF NOT FOUND THEN
            -- The top is whoever came before; owner is not in the line.
            RETURN subject = ANY (line[2:]);
        END IF;
        IF below = ANY (line) THEN
            RETURN false;
        END IF;
        line := line || below;
        below := manager;
    END LOOP;
END
$$;

-- The user's departments that are declared.
CREATE FUNCTION crm_access.departments_of(tenant text, user_name text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(
        SELECT m.department FROM crm_access.user_department AS m
        WHERE m.tenant = departments_of.tenant AND m.user_name = departments_of.user_name
            AND EXISTS (SELECT FROM crm_access.department AS d WHERE d.tenant = m.tenant AND d.department = m.department));
END
$$;

-- Adds to a question how the subject stands to the record that decides.
CREATE FUNCTION crm_access.stand(q crm_access.question) RETURNS crm_access.question
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    theirs constant text[] := crm_access.departments_of(q.tenant, q.subject);
    covered text[] := '{}';
BEGIN
    IF q.record IS NULL THEN
        q.covered := crm_access.scopes();
        RETURN q;
    END IF;
    q.owner := crm_access.text_of(q.scoped -> 'owner');
    SELECT d.department INTO q.department FROM crm_access.department AS d
    WHERE d.tenant = q.tenant AND d.department = crm_access.text_of(q.scoped -> 'department') LIMIT 1;
    q.departments := ARRAY(
        SELECT c.ancestor FROM crm_access.department_closure AS c
        WHERE c.tenant = q.tenant AND c.department = q.department
            AND EXISTS (SELECT FROM crm_access.department AS d WHERE d.tenant = c.tenant AND d.department = c.ancestor));
    IF q.owner = q.subject THEN
        covered := covered || 'own'::text;
    END IF;
    IF q.subject = ANY (crm_access.texts_of(q.scoped -> 'participants')) THEN
        covered := covered || 'involved'::text;
    END IF;
    IF q.owner <> q.subject AND q.owner <> '' AND crm_access.leads(q.tenant, q.subject, q.owner) THEN
        covered := covered || 'subordinates'::text;
    END IF;
    IF q.department = ANY (theirs) THEN
        covered := covered || ARRAY['department', 'departmentAndBelow'];
    ELSIF q.departments && theirs THEN
        covered := covered || 'departmentAndBelow'::text;
    END IF;
    q.covered := covered || 'all'::text;
    RETURN q;
END
$$;

-- Whether the record meets all conditions. A missing attribute makes each of them false; the owner and department fields
-- are facts of the record, which no attribute stands in for.
CREATE FUNCTION crm_access.meets(q crm_access.question, conditions jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    condition jsonb;
    field text;
    given text[];
BEGIN
    FOR condition IN SELECT * FROM jsonb_array_elements(conditions) LOOP
        field := condition ->> 'field';
        given := CASE field
            WHEN q.owner_field THEN ARRAY[nullif(crm_access.text_of(q.record -> 'owner'), '')]
            WHEN q.department_field THEN ARRAY[nullif(crm_access.text_of(q.record -> 'department'), '')]
            ELSE (
                SELECT crm_access.attribute_values(q.record -> field)
                WHERE EXISTS (
                    SELECT FROM crm_access.object_field AS f
                    WHERE f.tenant = q.tenant AND f.object = q.object AND f.field = condition ->> 'field'))
        END;
        IF given[1] IS NULL OR NOT coalesce(CASE condition ->> 'operator'
            WHEN 'In' THEN given && crm_access.texts_of(condition -> 'values')
            WHEN 'NotIn' THEN NOT given && crm_access.texts_of(condition -> 'values')
            WHEN 'Exists' THEN true
        END, false) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;

-- The live tuples that take the record in, whatever their actions; of a list, all on the object. Undivided: each stands
-- for itself.
CREATE FUNCTION crm_access.covering(q crm_access.question) RETURNS SETOF crm_access.coverage
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN QUERY
    SELECT h.owner_kind, h.owner_name, t.path, t.origin, h.not_after, coalesce(q.action = ANY (t.actions), false),
        CASE WHEN cardinality(by.scopes) = 0 OR by.selected THEN 8 ELSE array_position(crm_access.scopes(), by.scopes[cardinality(by.scopes)]) END,
        CASE
            WHEN cardinality(by.scopes) > 0 THEN array_to_string(by.scopes, '|')
            WHEN t.ids IS NOT NULL THEN 'ids' WHEN t.owners IS NOT NULL THEN 'owners' WHEN t.departments IS NOT NULL THEN 'departments'
            WHEN t.department_trees IS NOT NULL THEN 'departmentTrees' ELSE array_to_string(t.scopes, '|')
        END,
        t.actions, t.field_rules, t.restricted, t.only_fields, NULL::text, 3, false, NULL::text[]
    FROM crm_access.holder AS h
    JOIN crm_access.tuple AS t ON t.tenant = h.tenant AND t.bundle = h.bundle
    CROSS JOIN LATERAL (
        SELECT ARRAY(SELECT s.name FROM unnest(q.covered) WITH ORDINALITY AS s (name, place) WHERE s.name = ANY (t.scopes) ORDER BY s.place) AS scopes,
            coalesce(q.record IS NULL AND coalesce(t.ids, t.owners, t.departments, t.department_trees) IS NOT NULL, false)
                OR coalesce(q.id <> '' AND q.id = ANY (t.ids), false) OR coalesce(q.owner <> '' AND q.owner = ANY (t.owners), false)
                OR coalesce(q.department = ANY (t.departments), false) OR coalesce(q.departments && t.department_trees, false) AS selected
    ) AS by
    WHERE h.tenant = q.tenant AND h.user_name = q.subject
        AND (h.not_before IS NULL OR h.not_before <= q.at) AND (h.not_after IS NULL OR h.not_after > q.at)
        AND h.revoked_by = '' AND t.revoked_by = '' AND t.object = q.object
        AND (q.record IS NULL
            OR (cardinality(by.scopes) > 0 OR by.selected) AND (t.conditions IS NULL OR crm_access.meets(q, t.conditions)))
    ORDER BY h.owner_kind COLLATE "C", h.owner_name COLLATE "C", h.bundle COLLATE "C",
        coalesce(t.ids, t.owners, t.departments, t.department_trees) IS NOT NULL OR t.conditions IS NOT NULL, t.digest COLLATE "C";
END
$$;

-- What others share of the record with the subject: of each of the maker's own tuples that takes it in as much as the share
-- names. Shares do not chain, and one whose maker is gone or away is worth nothing; create and share cannot be shared.
CREATE FUNCTION crm_access.shared(q crm_access.question, actions text[]) RETURNS SETOF crm_access.coverage
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    share crm_access.share;
    maker crm_access.question;
    c crm_access.coverage;
    given text[];
BEGIN
    FOR share IN
        SELECT s.* FROM crm_access.share AS s
        WHERE s.tenant = q.tenant AND s.recipient = q.subject AND s.object = q.object AND (q.record IS NULL OR s.record_id = q.id)
            AND s.not_before <= q.at AND s.not_after > q.at AND q.action <> 'create'
            AND (s.restricted OR NOT EXISTS (
                SELECT FROM crm_access.crm_user AS u WHERE u.tenant = s.tenant AND u.user_name = s.recipient AND u.type = 'External'))
            AND (SELECT count(*) > 0 AND bool_and(u.state = 'Active' AND u.revoked_by = '') FROM crm_access.crm_user AS u
                WHERE u.tenant = s.tenant AND u.user_name = s.maker)
        ORDER BY s.record_id COLLATE "C", s.maker COLLATE "C", s.id COLLATE "C"
    LOOP
        given := ARRAY(SELECT a FROM unnest(share.actions) AS a WHERE a = ANY (shared.actions) AND a NOT IN ('create', 'share'));
        maker := q;
        maker.subject := share.maker;
        maker := crm_access.stand(maker);
        FOR c IN SELECT * FROM crm_access.covering(maker) LOOP
            c.answers := c.answers AND q.action = ANY (given);
            c.shared := format('shared by %s until %s, who has ', share.maker, crm_access.instant_text(share.not_after));
            c.most := CASE
                WHEN 'update' = ANY (given) THEN crm_access.level_of(share.level)
                WHEN 'read' = ANY (given) THEN least(crm_access.level_of(share.level), 2)
                ELSE 0
            END;
            c.share_restricted := share.restricted;
            c.share_fields := share.only_fields;
            RETURN NEXT c;
        END LOOP;
    END LOOP;
END
$$;

-- The people who have said yes to just this question, by the request that the context names: while it is open, unused, and
-- nobody has said no. One about a record that has no id yet fits nothing here: its digest is the decision API's.
CREATE FUNCTION crm_access.approved_by(q crm_access.question, fields text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(
        SELECT a.approver FROM crm_access.request AS r
        JOIN crm_access.answer AS a ON a.tenant = r.tenant AND a.request = r.id
        WHERE r.tenant = q.tenant AND r.id = crm_access.text_of(q.context -> 'approval')
            AND r.not_before <= q.at AND r.not_after > q.at AND r.used_at IS NULL
            AND r.subject = q.subject AND r.action = q.action AND r.object = q.object AND r.record_id = q.id AND r.proposed = ''
            AND (q.record IS NULL OR q.id <> '')
            AND r.target_user = crm_access.text_of(q.context -> 'target' -> 'user')
            AND r.target_department = crm_access.text_of(q.context -> 'target' -> 'department')
            AND coalesce(r.rows >= (q.context ->> 'rows')::numeric, r.rows IS NULL AND q.context ->> 'rows' IS NULL)
            AND (r.fields IS NULL OR cardinality(approved_by.fields) > 0 AND approved_by.fields <@ r.fields)
            AND NOT EXISTS (SELECT FROM crm_access.answer AS n WHERE n.tenant = r.tenant AND n.request = r.id AND NOT n.approves));
END
$$;

-- The words that are known of channels or devices, in order: those that everybody knows, and what some deny rule names.
-- Another word counts as not said: a misspelt channel must not slip past a rule that names the right one.
CREATE FUNCTION crm_access.known_words(tenant text, list text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(
        SELECT word COLLATE "C" FROM unnest(
            CASE list WHEN 'channels' THEN ARRAY['api', 'batch', 'desktop', 'mobile', 'web'] ELSE ARRAY['managed', 'unmanaged'] END) AS w (word)
        UNION
        SELECT word COLLATE "C" FROM crm_access.guardrail_rule AS r, unnest(crm_access.texts_of(r.parsed -> 'deny' -> 'when' -> list)) AS w (word)
        WHERE r.tenant = known_words.tenant
        ORDER BY 1);
END
$$;

-- Why a rule's words about a channel or device are met: what the context says is one of them, or nobody knows what it says.
-- Null where they are not.
CREATE FUNCTION crm_access.why_worded(tenant text, list text, named text[], said text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    what constant text := rtrim(list, 's');
    known text[];
BEGIN
    IF cardinality(named) = 0 THEN
        RETURN '';
    END IF;
    known := crm_access.known_words(tenant, list);
    RETURN CASE
        WHEN said = '' THEN what || ' not said'
        WHEN NOT said = ANY (known) THEN format('%s "%s" is not known; known are %s', what, said, array_to_string(known, ', '))
        WHEN said = ANY (named) THEN what || ' ' || said
    END;
END
$$;

-- Why a deny rule denies: all of it must be so. Null where it does not.
CREATE FUNCTION crm_access.why_denied(q crm_access.question, circumstances jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    channel constant text := crm_access.why_worded(q.tenant, 'channels', crm_access.texts_of(circumstances -> 'channels'), crm_access.text_of(q.context -> 'channel'));
    device constant text := crm_access.why_worded(q.tenant, 'devices', crm_access.texts_of(circumstances -> 'devices'), crm_access.text_of(q.context -> 'device'));
    reasonless constant boolean := coalesce((circumstances ->> 'reason_missing')::boolean, false);
    during text := '';
BEGIN
    IF channel IS NULL OR device IS NULL OR (reasonless AND crm_access.text_of(q.context -> 'reason') <> '') THEN
        RETURN NULL;
    END IF;
    IF jsonb_array_length(circumstances -> 'windows') > 0 THEN
        SELECT 'from ' || coalesce(crm_access.instant_text(w.since), 'always') || ' until ' || coalesce(crm_access.instant_text(w.until), 'forever') INTO during
        FROM (
            SELECT (e ->> 'notBefore')::timestamptz AS since, (e ->> 'notAfter')::timestamptz AS until, place
            FROM jsonb_array_elements(circumstances -> 'windows') WITH ORDINALITY AS s (e, place)
        ) AS w
        WHERE coalesce(w.since <= q.at, true) AND coalesce(w.until > q.at, true)
        ORDER BY w.place LIMIT 1;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN concat_ws(', ', nullif(channel, ''), nullif(device, ''), CASE WHEN reasonless THEN 'no reason given' END, nullif(during, ''));
END
$$;

-- With what a limit is exceeded: each is enough. What is not said exceeds every limit.
CREATE FUNCTION crm_access.why_limited(q crm_access.question, rule jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    rows constant numeric := (q.context ->> 'rows')::numeric;
    used constant numeric := (q.context ->> 'used')::numeric;
    owned constant numeric := (q.context ->> 'owned')::numeric;
    most_rows constant numeric := (rule ->> 'max_rows_per_request')::numeric;
    most_used constant numeric := (rule ->> 'max_rows_per_day')::numeric;
    most_owned constant numeric := (rule ->> 'max_records_owned')::numeric;
    why text[] := '{}';
BEGIN
    IF most_rows IS NOT NULL AND coalesce(rows > most_rows, true) THEN
        why := why || CASE WHEN rows IS NULL THEN 'rows not said' ELSE format('%s > %s rows', rows, most_rows) END;
    END IF;
    IF most_used IS NOT NULL AND coalesce(used + rows > most_used, true) THEN
        why := why || CASE
            WHEN used IS NULL THEN 'used not said'
            WHEN rows IS NOT NULL THEN format('%s used + %s > %s rows in 24 hours', used, rows, most_used)
            WHEN cardinality(why) = 0 THEN 'rows not said' -- once is enough
        END;
    END IF;
    IF most_owned IS NOT NULL AND coalesce(owned >= most_owned, true) THEN
        why := why || CASE WHEN owned IS NULL THEN 'owned not said' ELSE format('owns %s of at most %s records', owned, most_owned) END;
    END IF;
    RETURN array_remove(why, NULL);
END
$$;

-- Why the one who created a record may not do this to it, too; null where that is no matter.
CREATE FUNCTION crm_access.why_separate(q crm_access.question, duties jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT CASE
    WHEN q.action = 'create' OR NOT duties @> jsonb_build_array(
        jsonb_build_object('object', q.object, 'action', q.action), jsonb_build_object('object', q.object, 'action', 'create')) THEN NULL
    WHEN q.record IS NULL OR q.creator = '' THEN format('who created the %s is not known', q.object)
    WHEN q.creator = q.subject THEN format('%s created the %s', q.subject, q.object)
END
$$;

-- Every no of the guardrails. Nobody is exempt.
CREATE FUNCTION crm_access.forbidding(q crm_access.question) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    rule jsonb;
    why text[];
    reason text;
    denials text[] := '{}';
BEGIN
    FOR i IN 1 .. cardinality(q.rules) LOOP
        rule := q.rules[i];
        why := '{}';
        IF crm_access.is_about(rule -> 'deny', q.object, q.action) THEN
            why := why || crm_access.why_denied(q, rule -> 'deny' -> 'when');
        END IF;
        IF crm_access.is_about(rule -> 'limit', q.object, q.action) THEN
            why := why || crm_access.why_limited(q, rule -> 'limit');
        END IF;
        IF rule ? 'separate' THEN
            why := why || crm_access.why_separate(q, rule -> 'separate' -> 'duties');
        END IF;
        FOREACH reason IN ARRAY array_remove(why, NULL) LOOP
            denials := denials || ('guardrail ' || q.guardrails[i] || CASE WHEN reason = '' THEN '' ELSE ' (' || reason || ')' END);
        END LOOP;
    END LOOP;
    RETURN denials;
END
$$;

-- Whether the target is, for all that was said, in another department than the record.
CREATE FUNCTION crm_access.leaves_department(q crm_access.question) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    target_user constant text := crm_access.text_of(q.context -> 'target' -> 'user');
    target_department constant text := crm_access.text_of(q.context -> 'target' -> 'department');
BEGIN
    RETURN q.department IS NULL
        OR (target_department = '' AND target_user = '')
        OR (target_department <> '' AND target_department <> q.department)
        OR (target_user <> '' AND NOT q.department = ANY (crm_access.departments_of(q.tenant, target_user)));
END
$$;

-- Whether an account may approve at all: an active person of the company.
CREATE FUNCTION crm_access.is_approver(tenant text, name text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN coalesce((
        SELECT bool_and(u.state = 'Active' AND u.type = 'Employee' AND u.revoked_by = '') FROM crm_access.crm_user AS u
        WHERE u.tenant = is_approver.tenant AND u.user_name = name), false);
END
$$;

-- The next one up the reporting line who may approve, or null.
CREATE FUNCTION crm_access.manager_of(tenant text, subject text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    line text[] := '{}';
    name text := subject;
BEGIN
    LOOP
        line := line || name;
        SELECT u.manager INTO name FROM crm_access.crm_user AS u WHERE u.tenant = manager_of.tenant AND u.user_name = line[cardinality(line)] LIMIT 1;
        IF NOT FOUND OR name = '' OR name = ANY (line) THEN
            RETURN NULL;
        END IF;
        IF crm_access.is_approver(tenant, name) THEN
            RETURN name;
        END IF;
    END LOOP;
END
$$;

-- Whether somebody holds a role or an heir of it.
CREATE FUNCTION crm_access.is_holder(tenant text, name text, role text, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM crm_access.holder AS h
        WHERE h.tenant = is_holder.tenant AND h.user_name = name AND h.role <> '' AND h.revoked_by = ''
            AND (h.not_before IS NULL OR h.not_before <= at) AND (h.not_after IS NULL OR h.not_after > at)
            AND (h.role = is_holder.role OR EXISTS (
                SELECT FROM crm_access.role_lineage AS l
                WHERE l.tenant = h.tenant AND l.role = h.role AND l.ancestor = is_holder.role)));
END
$$;

-- Whether somebody is one of those who may approve what is asked: never the one who asks.
CREATE FUNCTION crm_access.may_approve(q crm_access.question, person text, by jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    approver jsonb;
BEGIN
    IF person = q.subject OR NOT crm_access.is_approver(q.tenant, person) THEN
        RETURN false;
    END IF;
    FOR approver IN SELECT * FROM jsonb_array_elements(by) LOOP
        IF (CASE
            WHEN coalesce((approver ->> 'manager_of_subject')::boolean, false) THEN coalesce(crm_access.manager_of(q.tenant, q.subject) = person, false)
            WHEN coalesce(approver ->> 'role', '') <> '' THEN crm_access.is_holder(q.tenant, person, approver ->> 'role', q.at)
            ELSE coalesce(approver ->> 'user' = person, false)
        END) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;

-- The approve rules that ask for an approval, each {"name", "by"}, in their order. What one needs to know and the context
-- does not say, counts as so.
CREATE FUNCTION crm_access.asking_approval(q crm_access.question, reach integer) RETURNS jsonb[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    rule jsonb;
    circumstances jsonb;
    asking jsonb[] := '{}';
BEGIN
    FOR i IN 1 .. cardinality(q.rules) LOOP
        rule := q.rules[i] -> 'approve';
        CONTINUE WHEN NOT crm_access.is_about(rule, q.object, q.action);
        circumstances := coalesce(rule -> 'when', '{}');
        CONTINUE WHEN (q.context ->> 'rows')::numeric <= (circumstances ->> 'rows_over')::numeric;
        CONTINUE WHEN (circumstances ->> 'other_department')::boolean AND NOT crm_access.leaves_department(q);
        CONTINUE WHEN circumstances ->> 'scope_at_most' <> ''
            AND reach > coalesce(array_position(crm_access.scopes(), circumstances ->> 'scope_at_most'), 0);
        asking := asking || jsonb_build_object('name', q.guardrails[i], 'by', coalesce(rule -> 'by', '[]'));
    END LOOP;
    RETURN asking;
END
$$;

-- Whether each rule has a person of its own among those who approved. By Hall's theorem it has, if of each set of rules
-- at least as many people fit one as there are rules in the set.
CREATE FUNCTION crm_access.is_approved(q crm_access.question, rules jsonb[], people text[]) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    fits integer[];
BEGIN
    IF coalesce(cardinality(people), 0) < cardinality(rules) THEN
        RETURN false;
    END IF;
    fits := ARRAY(
        SELECT sum(CASE WHEN crm_access.may_approve(q, p.name, r.rule -> 'by') THEN 1 << (r.place - 1)::integer ELSE 0 END)::integer
        FROM (SELECT DISTINCT name FROM unnest(people) AS n (name)) AS p, unnest(rules) WITH ORDINALITY AS r (rule, place)
        GROUP BY p.name);
    RETURN NOT EXISTS (
        SELECT FROM generate_series(1, (1 << cardinality(rules)) - 1) AS s (subset)
        WHERE (SELECT count(*) FROM unnest(fits) AS f (mask) WHERE f.mask & s.subset <> 0) < bit_count(s.subset::bit(16)));
END
$$;

-- Who may approve, as people say it.
CREATE FUNCTION crm_access.approvers_text(q crm_access.question, by jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT string_agg(CASE
            WHEN coalesce(a.approver ->> 'role', '') <> '' THEN a.approver ->> 'role'
            WHEN coalesce(a.approver ->> 'user', '') <> '' THEN a.approver ->> 'user'
            ELSE coalesce(
                crm_access.manager_of(q.tenant, q.subject) || ', manager of ' || q.subject,
                'the manager of ' || q.subject || ', who has none that may approve')
        END, ' or ' ORDER BY a.place)
        FROM jsonb_array_elements(by) WITH ORDINALITY AS a (approver, place));
END
$$;

-- What a tuple's rules say of a field: a field rule beats a class rule beats the class's default. Of two rules the first
-- counts; a class that cannot be read is guarded best.
CREATE FUNCTION crm_access.ruled_level(rules jsonb, field text, class text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    rule jsonb;
    by_class integer;
BEGIN
    FOR rule IN SELECT * FROM jsonb_array_elements(rules) LOOP
        IF rule ->> 'field' = field THEN
            RETURN crm_access.level_of(rule ->> 'level');
        END IF;
        IF coalesce(rule ->> 'field', '') = '' AND rule ->> 'class' = class AND by_class IS NULL THEN
            by_class := crm_access.level_of(rule ->> 'level');
        END IF;
    END LOOP;
    RETURN coalesce(by_class, CASE class WHEN 'public' THEN 3 WHEN 'internal' THEN 3 WHEN 'confidential' THEN 1 ELSE 0 END);
END
$$;

-- What a tuple gives a field on a stored record or, for create, on a proposed one.
CREATE FUNCTION crm_access.given_level(q crm_access.question, c crm_access.coverage, actions text[], field text, class text) RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    editing constant text := CASE WHEN q.action = 'create' THEN 'create' ELSE 'update' END;
    edits constant boolean := editing = ANY (c.actions) AND editing = ANY (actions);
    reads constant boolean := ('read' = ANY (c.actions) AND 'read' = ANY (actions)) OR ('update' = ANY (c.actions) AND 'update' = ANY (actions));
BEGIN
    IF (c.restricted AND NOT coalesce(field = ANY (c.only_fields), false))
        OR (c.share_restricted AND NOT coalesce(field = ANY (c.share_fields), false)) THEN
        RETURN 0;
    END IF;
    RETURN least(c.most, crm_access.ruled_level(c.field_rules, field, class), CASE
        WHEN edits AND (q.action = 'create' OR field NOT IN (q.owner_field, q.department_field)) THEN 3
        WHEN edits OR reads THEN 2 -- transfer and assign change owner and department
        ELSE 0
    END);
END
$$;

-- The level at which guardrails cap a field, and the first of them that does; null where none does.
CREATE FUNCTION crm_access.cap_of(q crm_access.question, field text, class text, OUT level integer, OUT guardrail text)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    cap jsonb;
BEGIN
    FOR i IN 1 .. cardinality(q.rules) LOOP
        cap := q.rules[i] -> 'cap';
        CONTINUE WHEN cap IS NULL OR NOT cap -> 'objects' ?| ARRAY[q.object, '*'];
        IF (cap -> 'classes' ? class OR cap -> 'fields' ? field) AND crm_access.level_of(cap ->> 'level') < coalesce(level, 3) THEN
            level := crm_access.level_of(cap ->> 'level');
            guardrail := q.guardrails[i];
        END IF;
    END LOOP;
END
$$;

-- What the tuples give a field: on a record the widest over those that cover it, of a list the narrowest over those that
-- answer, which is what holds on every record of it.
CREATE FUNCTION crm_access.field_level(q crm_access.question, covers crm_access.coverage[], actions text[], field text, class text) RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    c crm_access.coverage;
    given integer;
    level integer := CASE WHEN q.record IS NULL THEN 3 ELSE 0 END;
BEGIN
    FOREACH c IN ARRAY covers LOOP
        CONTINUE WHEN q.record IS NULL AND NOT c.answers;
        given := crm_access.given_level(q, c, actions, field, class);
        level := CASE WHEN q.record IS NULL THEN least(level, given) ELSE greatest(level, given) END;
    END LOOP;
    RETURN level;
END
$$;

-- Stages 0 and 1: no revocation covers the user, and the account is Active. done: nothing more can be asked.
CREATE FUNCTION crm_access.check_account(tenant text, subject text, OUT denials text[], OUT done boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    account record;
BEGIN
    -- Two accounts of one name there are only where a hand has written: then both must be in order.
    SELECT count(*) AS accounts, max(nullif(u.revoked_by, '')) AS revoked_by, max(u.state) FILTER (WHERE u.state <> 'Active') AS state INTO account
    FROM crm_access.crm_user AS u WHERE u.tenant = check_account.tenant AND u.user_name = subject;
    done := account.accounts = 0;
    denials := array_remove(ARRAY[
        'revocation ' || account.revoked_by || ' of user ' || subject,
        CASE WHEN done THEN format('no account "%s"', subject) END,
        'account state ' || account.state], NULL);
END
$$;

-- The classes of fields; null of one that is not declared. A class that cannot be read is guarded best.
CREATE FUNCTION crm_access.classes_of(tenant text, object text, fields text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(
        SELECT (
            SELECT CASE WHEN d.class IN ('public', 'internal', 'confidential', 'restricted') THEN d.class ELSE 'secret' END
            FROM crm_access.object_field AS d
            WHERE d.tenant = classes_of.tenant AND d.object = classes_of.object AND d.field = f.name LIMIT 1)
        FROM unnest(fields) WITH ORDINALITY AS f (name, place) ORDER BY f.place);
END
$$;

-- Stage 2: object, action and fields are declared, and the question is one that can be asked.
CREATE FUNCTION crm_access.check_catalogue(
    q crm_access.question, o crm_access.object_type, fields text[], classes text[], OUT denials text[], OUT done boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    denials := '{}';
    done := true;
    IF o.object IS NULL THEN
        denials := ARRAY[format('unknown object "%s"', q.object)];
        RETURN;
    END IF;
    IF NOT o.enabled
        OR (SELECT count(*) FROM crm_access.object_type AS t WHERE t.tenant = q.tenant AND t.object = q.object) <> 1
        OR (SELECT count(*) FROM crm_access.object_storage AS s WHERE s.tenant = q.tenant AND s.object = q.object) > 1
        OR (o.parent_object <> '' AND NOT EXISTS (
            SELECT FROM crm_access.object_type AS t WHERE t.tenant = q.tenant AND t.object = o.parent_object)) THEN
        denials := ARRAY[format('object %s is disabled', q.object)];
    END IF;
    IF NOT coalesce(q.action = ANY (o.actions), false) THEN
        denials := denials || format('object %s has no action "%s"; it has %s', q.object, q.action, array_to_string(o.actions, ', '));
        RETURN;
    END IF;
    IF array_position(classes, NULL) IS NOT NULL THEN
        denials := denials || format('object %s has no field "%s"', q.object, fields[array_position(classes, NULL)]);
        RETURN;
    END IF;
    IF q.record IS NULL AND q.action NOT IN ('read', 'export') THEN
        denials := denials || CASE WHEN q.action = 'create' THEN 'create needs the proposed record'
            ELSE format('%s needs a record; only read and export can be asked of a list', q.action) END;
        RETURN;
    END IF;
    done := false;
END
$$;

-- The facts of the record that decides: the record's own, or its parent's, as far up as access comes from one. Null where
-- it is not known.
CREATE FUNCTION crm_access.deciding(o crm_access.object_type, record jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    WHILE o.parent_object <> '' LOOP
        record := record -> o.parent_field;
        IF jsonb_typeof(record) IS DISTINCT FROM 'object' THEN
            RETURN NULL;
        END IF;
        SELECT * INTO o FROM crm_access.object_type AS t WHERE t.tenant = o.tenant AND t.object = o.parent_object LIMIT 1;
    END LOOP;
    RETURN record;
END
$$;

-- A grant that covers, in short: sales-rep:read=own.
CREATE FUNCTION crm_access.grant_text(q crm_access.question, c crm_access.coverage) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT c.origin || ':' || q.action || '=' || c.span
$$;

-- The grants that cover, each with where it comes from and until when.
CREATE FUNCTION crm_access.grants_text(q crm_access.question, covers crm_access.coverage[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(
        SELECT coalesce((covers[i]).shared, '') || crm_access.grant_text(q, covers[i]) || ' by ' || (covers[i]).owner_kind || '/' || (covers[i]).owner_name
            || CASE WHEN (covers[i]).shared IS NULL AND (covers[i]).path <> (covers[i]).origin THEN ' (' || (covers[i]).path || ')' ELSE '' END
            || CASE WHEN (covers[i]).shared IS NULL THEN coalesce(', until ' || crm_access.instant_text((covers[i]).not_after), '') ELSE '' END
        FROM generate_subscripts(covers, 1) AS i WHERE (covers[i]).answers ORDER BY i);
END
$$;

-- The approvals that are needed, each with who may give it, for the grant that covers most widely.
CREATE FUNCTION crm_access.needs_text(q crm_access.question, covers crm_access.coverage[], needs jsonb[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    widest constant text := (
        SELECT crm_access.grant_text(q, covers[i]) FROM generate_subscripts(covers, 1) AS i
        WHERE (covers[i]).answers ORDER BY (covers[i]).reach DESC, i LIMIT 1);
BEGIN
    RETURN ARRAY(
        SELECT format('needs %s (%s); guardrail %s', crm_access.approvers_text(q, n.need -> 'by'), widest, n.need ->> 'name')
        FROM unnest(needs) WITH ORDINALITY AS n (need, place) ORDER BY n.place);
END
$$;

-- Stage 6: the levels as they come out, the fields of an update or create that are below edit, and those that a guardrail
-- holds at their level.
CREATE FUNCTION crm_access.check_fields(
    q crm_access.question, covers crm_access.coverage[], actions text[], fields text[], classes text[],
    OUT levels text[], OUT denials text[], OUT held text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    cap record;
    level integer;
    capped text;
BEGIN
    levels := '{}';
    denials := '{}';
    held := '{}';
    FOR i IN 1 .. cardinality(fields) LOOP
        cap := crm_access.cap_of(q, fields[i], classes[i]);
        level := least(crm_access.field_level(q, covers, actions, fields[i], classes[i]), cap.level);
        IF q.action = 'unmask' AND level = 1 THEN
            level := 2; -- unmask shows what is masked
        END IF;
        capped := CASE WHEN level = cap.level THEN format(': guardrail %s allows no more', cap.guardrail) ELSE '' END;
        levels := levels || crm_access.level_name(level);
        IF q.action IN ('update', 'create') AND level < 3 THEN
            denials := denials || format('field %s is %s, not edit%s', fields[i], levels[i], capped);
        ELSIF capped <> '' THEN
            held := held || format('field %s is %s%s', fields[i], levels[i], capped);
        END IF;
    END LOOP;
END
$$;

-- Stages 3 to 6: guardrails, grants, approvals, fields. Without a decision other than deny, levels are none.
CREATE FUNCTION crm_access.weigh(
    q crm_access.question, actions text[], fields text[], classes text[], approved_by text[], OUT decision text, OUT levels text[], OUT reasons text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    covers constant crm_access.coverage[] := ARRAY(SELECT c FROM crm_access.covering(q) AS c)
        || ARRAY(SELECT c FROM crm_access.shared(q, actions) AS c);
    reach constant integer := (SELECT max(c.reach) FROM unnest(covers) AS c WHERE c.answers);
    needs constant jsonb[] := crm_access.asking_approval(q, coalesce(reach, 0));
    checked record;
BEGIN
    reasons := crm_access.forbidding(q);
    IF reach IS NULL THEN
        reasons := reasons || format('no grant covers %s on %s', q.action, q.object);
    END IF;
    IF cardinality(needs) > 16 THEN
        reasons := reasons || 'more than 16 rules of guardrails ask for an approval each'::text; -- nobody is asked in vain
    END IF;
    checked := crm_access.check_fields(q, covers, actions, fields, classes);
    reasons := reasons || checked.denials;
    IF cardinality(reasons) > 0 THEN
        decision := 'deny';
    ELSIF cardinality(needs) > 0 AND NOT crm_access.is_approved(q, needs, approved_by) THEN
        decision := 'needs-approval';
        reasons := crm_access.needs_text(q, covers, needs) || crm_access.grants_text(q, covers);
    ELSE
        decision := 'allow';
        levels := checked.levels;
        reasons := crm_access.grants_text(q, covers) || checked.held;
    END IF;
END
$$;

-- One decision: the stages of design §4 in their order. What decides and what is told of it is one, so that decide and
-- explain cannot disagree. approved_by are the people who have approved just this.
CREATE FUNCTION crm_access.judge(
    tenant text, subject text, action text, object text, record jsonb, fields text[], context jsonb, approved_by text[], at timestamptz,
    OUT decision text, OUT levels text[], OUT reasons text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    asked constant text[] := coalesce(fields, '{}');
    faults constant text[] := array_remove(ARRAY[
        crm_access.context_fault(context), CASE WHEN jsonb_typeof(record) NOT IN ('object', 'null') THEN 'record: want an object' END], NULL);
    classes text[];
    o crm_access.object_type;
    q crm_access.question;
    account record;
    checked record;
    weighed record;
BEGIN
    decision := 'deny';
    levels := array_fill('none'::text, ARRAY[cardinality(asked)]);
    account := crm_access.check_account(tenant, subject);
    reasons := account.denials || faults;
    IF account.done OR cardinality(faults) > 0 THEN
        RETURN;
    END IF;
    SELECT * INTO o FROM crm_access.object_type AS t WHERE t.tenant = judge.tenant AND t.object = judge.object LIMIT 1;
    q.tenant := tenant;
    q.subject := subject;
    q.action := action;
    q.object := object;
    q.at := at;
    q.context := coalesce(nullif(context, 'null'), '{}');
    q.record := nullif(record, 'null');
    q.id := crm_access.text_of(q.record -> 'id');
    q.creator := crm_access.text_of(q.record -> 'creator');
    q.owner_field := o.owner_field;
    q.department_field := o.department_field;
    classes := crm_access.classes_of(tenant, object, asked);
    checked := crm_access.check_catalogue(q, o, asked, classes);
    reasons := reasons || checked.denials;
    IF checked.done THEN
        RETURN;
    END IF;
    q.scoped := crm_access.deciding(o, q.record);
    q := crm_access.stand(q);
    SELECT coalesce(array_agg(r.owner_name ORDER BY r.owner_name COLLATE "C", r.position COLLATE "C"), '{}'),
        coalesce(array_agg(r.parsed ORDER BY r.owner_name COLLATE "C", r.position COLLATE "C"), '{}') INTO q.guardrails, q.rules
    FROM crm_access.guardrail_rule AS r WHERE r.tenant = q.tenant;
    weighed := crm_access.weigh(q, o.actions, asked, classes, approved_by || crm_access.approved_by(q, asked));
    IF cardinality(reasons) = 0 THEN
        decision := weighed.decision;
        levels := coalesce(weighed.levels, levels);
        reasons := weighed.reasons;
    ELSIF weighed.decision = 'deny' THEN
        reasons := reasons || weighed.reasons; -- all causes are told
    END IF;
END
$$;

-- Fields with their levels, as the decision API gives them: {"phone": "masked"}.
CREATE FUNCTION crm_access.levels_object(fields text[], levels text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT coalesce(jsonb_object_agg(f.name, f.level), '{}') FROM unnest(fields, levels) AS f (name, level) WHERE f.name IS NOT NULL
$$;

-- The store's clock.
CREATE FUNCTION crm_access.at() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT c.now FROM crm_access.clock AS c);
END
$$;

-- The context of the session's setting. What is no JSON is no object either, which is refused where it is read. A
-- subtransaction catches it: where there may be none, in a parallel worker, this must not run.
CREATE FUNCTION crm_access.session_context() RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
BEGIN
    RETURN nullif(current_setting('crm_access.context', true), '')::jsonb;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character OR statement_too_complex THEN
    RETURN '"no JSON"';
END
$$;

-- Who asks, and in which tenant: the one of the setting crm_access.tenant, or else the only one whose key verifies the
-- token. Both null where nobody does.
CREATE FUNCTION crm_access.asking(OUT tenant text, OUT subject text)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    found text[];
BEGIN
    tenant := nullif(current_setting('crm_access.tenant', true), '');
    IF tenant IS NULL THEN
        found := ARRAY(SELECT t.name FROM crm_access.tenant AS t WHERE crm_access.subject(t.name) IS NOT NULL);
        tenant := CASE WHEN cardinality(found) = 1 THEN found[1] END;
    END IF;
    subject := crm_access.subject(tenant);
END
$$;

-- Anybody's decision, at any instant: for services that know who asks, and for tests. Not for the application's role.
CREATE FUNCTION crm_access.decide_as(
    tenant text, subject text, action text, object text, record jsonb, fields text[], context jsonb, at timestamptz,
    OUT decision text, OUT levels jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    judged constant record := crm_access.judge(tenant, subject, action, object, record, fields, context, '{}', at);
BEGIN
    decision := judged.decision;
    levels := crm_access.levels_object(fields, judged.levels);
END
$$;

-- Whether whoever the token names may do this now, and the level of every field asked for. Without a record: whether any
-- could be covered. Without a context: that of the setting crm_access.context.
CREATE FUNCTION crm_access.decide(
    action text, object text, record jsonb DEFAULT NULL, fields text[] DEFAULT '{}', context jsonb DEFAULT NULL,
    OUT decision text, OUT levels jsonb)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant record := crm_access.asking();
BEGIN
    SELECT d.decision, d.levels INTO decision, levels
    FROM crm_access.decide_as(
        who.tenant, who.subject, action, object, record, fields, coalesce(context, crm_access.session_context()), crm_access.at()) AS d;
END
$$;

-- The same with its causes: for an allow every grant that covers, for a deny every no, in the order of the stages.
CREATE FUNCTION crm_access.explain(
    action text, object text, record jsonb DEFAULT NULL, fields text[] DEFAULT '{}', context jsonb DEFAULT NULL,
    OUT decision text, OUT levels jsonb, OUT reasons text[])
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant record := crm_access.asking();
    judged record;
BEGIN
    IF who.subject IS NULL THEN
        decision := 'deny';
        levels := crm_access.levels_object(fields, array_fill('none'::text, ARRAY[coalesce(cardinality(fields), 0)]));
        reasons := ARRAY['no token that is good names who asks'];
        RETURN;
    END IF;
    judged := crm_access.judge(
        who.tenant, who.subject, action, object, record, fields, coalesce(context, crm_access.session_context()), '{}', crm_access.at());
    decision := judged.decision;
    levels := crm_access.levels_object(fields, judged.levels);
    reasons := judged.reasons;
END
$$;

-- The level of every field of an object, to read: on a record, or without one what holds on every record of a list.
CREATE FUNCTION crm_access.field_levels(object text, record jsonb DEFAULT NULL, context jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant record := crm_access.asking();
BEGIN
    RETURN (
        SELECT d.levels
        FROM crm_access.decide_as(
            who.tenant, who.subject, 'read', object, record,
            ARRAY(SELECT DISTINCT f.field FROM crm_access.object_field AS f WHERE f.tenant = who.tenant AND f.object = field_levels.object),
            coalesce(context, crm_access.session_context()), crm_access.at()) AS d);
END
$$;

REVOKE EXECUTE ON FUNCTION crm_access.level_of, crm_access.level_name, crm_access.scopes, crm_access.instant_text, crm_access.text_of,
    crm_access.texts_of, crm_access.attribute_values, crm_access.is_about, crm_access.context_fault, crm_access.leads,
    crm_access.departments_of, crm_access.stand, crm_access.meets, crm_access.covering, crm_access.shared, crm_access.approved_by, crm_access.known_words, crm_access.why_worded,
    crm_access.why_denied, crm_access.why_limited, crm_access.why_separate, crm_access.forbidding, crm_access.leaves_department,
    crm_access.is_approver, crm_access.manager_of, crm_access.is_holder, crm_access.may_approve, crm_access.asking_approval,
    crm_access.is_approved, crm_access.approvers_text, crm_access.ruled_level, crm_access.given_level, crm_access.cap_of, crm_access.field_level, crm_access.classes_of,
    crm_access.check_account, crm_access.check_catalogue, crm_access.deciding, crm_access.grant_text, crm_access.grants_text,
    crm_access.needs_text, crm_access.check_fields, crm_access.weigh, crm_access.judge, crm_access.levels_object, crm_access.at,
    crm_access.session_context, crm_access.asking, crm_access.decide_as
FROM PUBLIC;
