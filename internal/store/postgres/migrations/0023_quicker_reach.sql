-- What a user reaches, in less time. See docs/performance.md, "Where the time of enforcement goes".

-- As before, but in PL/pgSQL: a body that is SQL and cannot be inlined is read and planned anew in each statement, which took
-- more than everything else that a part of a reach asks for.
CREATE OR REPLACE FUNCTION crm_access.each_behind(prefix text, names text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN string_to_array(prefix || array_to_string(names, E'\x1f' || prefix), E'\x1f');
END
$$;

CREATE OR REPLACE FUNCTION crm_access.integers_of(ids text[], lowest bigint, highest bigint) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF ids IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT array_agg(i.id::bigint) FROM unnest(ids) AS i (id)
        WHERE CASE WHEN i.id ~ '^(0|-?[1-9][0-9]{0,18})$' THEN i.id::numeric BETWEEN lowest AND highest ELSE false END);
END
$$;

CREATE OR REPLACE FUNCTION crm_access.uuids_of(ids text[]) RETURNS uuid[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF ids IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT array_agg(i.id::uuid) FROM unnest(ids) AS i (id)
        WHERE i.id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');
END
$$;

-- As before, by a list of bundles: a join takes longer to set up than there is to join.
CREATE OR REPLACE FUNCTION crm_access.live_tuples(tenant text, subject text, object text, now timestamptz) RETURNS SETOF crm_access.tuple
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT t.*
    FROM crm_access.tuple AS t
    WHERE t.tenant = live_tuples.tenant AND t.object = live_tuples.object AND t.revoked_by = ''
        AND t.bundle = ANY (ARRAY(
            SELECT h.bundle FROM crm_access.holder AS h
            WHERE h.tenant = live_tuples.tenant AND h.user_name = live_tuples.subject AND h.revoked_by = ''
                AND (h.not_before IS NULL OR h.not_before <= live_tuples.now)
                AND (h.not_after IS NULL OR h.not_after > live_tuples.now)))
        AND (SELECT true FROM crm_access.crm_user AS u
            WHERE u.tenant = live_tuples.tenant AND u.user_name = live_tuples.subject AND u.state = 'Active' AND u.revoked_by = '' LIMIT 1)
        AND (SELECT true FROM crm_access.object_type AS o
            WHERE o.tenant = live_tuples.tenant AND o.object = live_tuples.object AND o.enabled LIMIT 1)
$$;

-- As before. What cannot hold anything of the part is known before rules are looked at.
CREATE OR REPLACE FUNCTION crm_access.reached(tenant text, object text, action text, conditions jsonb, directly text[], part text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant crm_access.asker := crm_access.asker(tenant);
    scopes text[];
    named text[];
    trees text[];
BEGIN
    IF who.subject IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT crm_access.all_of(b.scopes), crm_access.all_of(CASE part WHEN 'departments' THEN b.department_trees END),
        crm_access.all_of(CASE part WHEN 'owners' THEN b.owners WHEN 'departments' THEN b.departments WHEN 'ids' THEN b.ids END)
    INTO scopes, trees, named
    FROM crm_access.live_tuples(reached.tenant, who.subject, reached.object, who.now) AS b
    WHERE reached.action = ANY (b.actions) AND b.conditions IS NOT DISTINCT FROM reached.conditions
        AND (reached.directly IS NULL OR NOT b.restricted AND (b.lowered && reached.directly) IS NOT TRUE);
    IF part <> 'everything' AND 'all' = ANY (scopes) THEN
        RETURN NULL; -- what is shared besides is in everything
    END IF;
    -- Of what is shared the table itself shows nothing: a share may be of a few fields.
    IF part = 'ids' AND conditions IS NULL AND directly IS NULL AND EXISTS (
        SELECT FROM crm_access.share AS s WHERE s.tenant = reached.tenant AND s.recipient = who.subject AND s.not_after > who.now
    ) THEN
        named := named || (crm_access.shared_with(tenant, who.subject, object, action, '{}', who.now)).ids;
    END IF;
    IF named IS NULL AND trees IS NULL AND (scopes && CASE part
            WHEN 'everything' THEN ARRAY['all']
            WHEN 'owners' THEN ARRAY['own', 'subordinates']
            WHEN 'departments' THEN ARRAY['department', 'departmentAndBelow']
            WHEN 'participants' THEN ARRAY['involved']
        END) IS NOT TRUE
        OR EXISTS (SELECT FROM crm_access.guardrail_rule AS g
                WHERE g.tenant = reached.tenant AND g.subjects && crm_access.listed_by_rules(reached.object, reached.action, reached.directly))
            AND NOT crm_access.may_list(tenant, who.subject, object, action, directly, who.now) THEN
        RETURN NULL;
    END IF;
    RETURN CASE part
        WHEN 'everything' THEN '{}'::text[]
        WHEN 'owners' THEN crm_access.owners_within(tenant, who.subject, scopes, named)
        WHEN 'departments' THEN crm_access.departments_within(tenant, who.subject, scopes, named, trees)
        WHEN 'participants' THEN ARRAY[who.subject]
        ELSE named
    END;
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION crm_access.visible(object text, action text,
    OUT everything boolean, OUT owners text[], OUT participants text[], OUT departments text[], OUT ids text[],
    OUT conditioned crm_access.reaching_tuple[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant constant text := (crm_access.asking()).tenant;
BEGIN
    everything := crm_access.reached(tenant, object, action, NULL, NULL, 'everything') IS NOT NULL;
    owners := crm_access.reached(tenant, object, action, NULL, NULL, 'owners');
    participants := crm_access.reached(tenant, object, action, NULL, NULL, 'participants');
    departments := crm_access.reached(tenant, object, action, NULL, NULL, 'departments');
    ids := crm_access.reached(tenant, object, action, NULL, NULL, 'ids');
    conditioned := crm_access.conditioned_reach_of(tenant, object, action, '[]', NULL);
END
$$;

-- What nothing asks any more. Where policies and views of tables that were made to enforce before 0019 name them still, they
-- stay.
DO $$
BEGIN
    DROP FUNCTION crm_access.reach_of(text, text, text, jsonb, text[]);
    DROP FUNCTION crm_access.shown_by(text, text, text[]);
EXCEPTION
    WHEN dependent_objects_still_exist THEN NULL;
END
$$;
