-- Who shares a record is a party to what is done with it by that share alone, and approves it no more than who does it.

-- The parties to what is asked: the subject and, where only shares cover the action, their makers. Null is the subject
-- alone.
ALTER TYPE crm_access.question ADD ATTRIBUTE parties text[];

-- Whose share it is; null for the subject's own.
ALTER TYPE crm_access.coverage ADD ATTRIBUTE maker text;

-- As before; they say whose share it is.
CREATE OR REPLACE FUNCTION crm_access.covering(q crm_access.question) RETURNS SETOF crm_access.coverage
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
        t.actions, t.field_rules, t.restricted, t.only_fields, NULL::text, 3, false, NULL::text[], NULL::text
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

CREATE OR REPLACE FUNCTION crm_access.shared(q crm_access.question, actions text[]) RETURNS SETOF crm_access.coverage
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
            c.maker := share.maker;
            RETURN NEXT c;
        END LOOP;
    END LOOP;
END
$$;

-- The parties by what covers the action: the subject first, then the makers.
CREATE FUNCTION crm_access.parties_to(q crm_access.question, covers crm_access.coverage[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF (SELECT bool_or(c.maker IS NULL) FROM unnest(covers) AS c WHERE c.answers) THEN
        RETURN ARRAY[q.subject];
    END IF;
    RETURN q.subject || ARRAY(
        SELECT DISTINCT c.maker COLLATE "C" FROM unnest(covers) AS c WHERE c.answers AND c.maker <> q.subject ORDER BY 1);
END
$$;

-- The one who is the manager of each party: the next one up its reporting line who may approve and is no party. Null
-- where they have none in common.
CREATE FUNCTION crm_access.manager_of(q crm_access.question) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    parties constant text[] := coalesce(q.parties, ARRAY[q.subject]);
    party text;
    line text[];
    name text;
    common text;
BEGIN
    FOREACH party IN ARRAY parties LOOP
        line := '{}';
        name := party;
        LOOP
            line := line || name;
            SELECT u.manager INTO name FROM crm_access.crm_user AS u
            WHERE u.tenant = q.tenant AND u.user_name = line[cardinality(line)] LIMIT 1;
            IF NOT FOUND OR name = '' OR name = ANY (line) THEN
                RETURN NULL;
            END IF;
            EXIT WHEN name <> ALL (parties) AND crm_access.is_approver(q.tenant, name);
        END LOOP;
        IF common <> name THEN
            RETURN NULL;
        END IF;
        common := name;
    END LOOP;
    RETURN common;
END
$$;

-- As before; never a party.
CREATE OR REPLACE FUNCTION crm_access.may_approve(q crm_access.question, person text, by jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    approver jsonb;
BEGIN
    IF person = ANY (coalesce(q.parties, ARRAY[q.subject])) OR NOT crm_access.is_approver(q.tenant, person) THEN
        RETURN false;
    END IF;
    FOR approver IN SELECT * FROM jsonb_array_elements(by) LOOP
        IF (CASE
            WHEN coalesce((approver ->> 'manager_of_subject')::boolean, false) THEN coalesce(crm_access.manager_of(q) = person, false)
            WHEN coalesce(approver ->> 'role', '') <> '' THEN crm_access.is_holder(q.tenant, person, approver ->> 'role', q.at)
            ELSE coalesce(approver ->> 'user' = person, false)
        END) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;

CREATE OR REPLACE FUNCTION crm_access.approvers_text(q crm_access.question, by jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    parties constant text[] := coalesce(q.parties, ARRAY[q.subject]);
    names constant text := array_to_string(parties, ' and ');
BEGIN
    RETURN (
        SELECT string_agg(CASE
            WHEN coalesce(a.approver ->> 'role', '') <> '' THEN a.approver ->> 'role'
            WHEN coalesce(a.approver ->> 'user', '') <> '' THEN a.approver ->> 'user'
            ELSE coalesce(
                crm_access.manager_of(q) || ', manager of ' || names,
                'the manager of ' || names || CASE WHEN cardinality(parties) > 1 THEN ', who have none in common that may approve'
                    ELSE ', who has none that may approve' END)
        END, ' or ' ORDER BY a.place)
        FROM jsonb_array_elements(by) WITH ORDINALITY AS a (approver, place));
END
$$;

CREATE OR REPLACE FUNCTION crm_access.approvals_of(tenant text, subject text, at timestamptz, needs jsonb[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    q crm_access.question;
    need jsonb;
    people text[];
    approvals jsonb := '[]';
BEGIN
    q.tenant := tenant;
    q.subject := subject;
    q.at := at;
    FOREACH need IN ARRAY coalesce(needs, '{}') LOOP
        q.parties := ARRAY(SELECT p FROM jsonb_array_elements_text(need -> 'parties') AS p);
        people := ARRAY(
            SELECT p.name COLLATE "C" FROM (
                SELECT crm_access.manager_of(q) AS name
                UNION
                SELECT a.approver ->> 'user' FROM jsonb_array_elements(need -> 'by') AS a (approver)
                UNION
                SELECT h.user_name FROM crm_access.holder AS h
                WHERE h.tenant = approvals_of.tenant AND h.role IN (
                    SELECT a.approver ->> 'role' FROM jsonb_array_elements(need -> 'by') AS a (approver)
                    UNION
                    SELECT l.role FROM crm_access.role_lineage AS l
                    JOIN jsonb_array_elements(need -> 'by') AS a (approver) ON l.tenant = approvals_of.tenant AND l.ancestor = a.approver ->> 'role')
            ) AS p
            WHERE p.name IS NOT NULL AND crm_access.may_approve(q, p.name, need -> 'by')
            ORDER BY 1 LIMIT 20);
        approvals := approvals || jsonb_build_object('guardrail', need ->> 'name', 'approvers', to_jsonb(people));
    END LOOP;
    RETURN approvals;
END
$$;

CREATE OR REPLACE FUNCTION crm_access.weigh(
    q crm_access.question, actions text[], fields text[], classes text[], approved_by text[], OUT decision text, OUT levels text[], OUT reasons text[], OUT needs jsonb[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    covers constant crm_access.coverage[] := ARRAY(SELECT c FROM crm_access.covering(q) AS c)
        || ARRAY(SELECT c FROM crm_access.shared(q, actions) AS c);
    reach constant integer := (SELECT max(c.reach) FROM unnest(covers) AS c WHERE c.answers);
    checked record;
BEGIN
    q.parties := crm_access.parties_to(q, covers);
    needs := ARRAY(
        SELECT n.need || jsonb_build_object('parties', q.parties)
        FROM unnest(crm_access.asking_approval(q, coalesce(reach, 0))) WITH ORDINALITY AS n (need, place) ORDER BY n.place);
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

DROP FUNCTION crm_access.manager_of(text, text);

REVOKE EXECUTE ON FUNCTION crm_access.parties_to, crm_access.manager_of FROM PUBLIC;
