# How access is decided over data: the same rules as the design's, in the words of Rego. What is looked up is an object
# with the name as key, never an array that would have to be searched.
package crmaccess

default decision := {"allow": false}

decision := {"allow": true, "levels": shown} if {
	allow
	not short_of_edit
}

# The action alone. The first tuple that takes the record in ends the search.
default allow := false

allow if {
	user.active
	object.enabled
	object.actions[input.action]
	every field in input.fields {
		object.fields[field]
	}
	not forbidden
	granted
}

user := data.users[input.user]

object := data.objects[input.object]

granted if {
	some holding in user.holdings
	holding.from <= input.now
	input.now < holding.until
	some tuple in data.bundles[holding.bundle][input.object]
	tuple.actions[input.action]
	covers(tuple)
}

# All the tuples that take the record in, whatever their action, by holding and place.
covering contains [holding.bundle, i] if {
	some holding in user.holdings
	holding.from <= input.now
	input.now < holding.until
	some i, tuple in data.bundles[holding.bundle][input.object]
	covers(tuple)
}

covers(tuple) if {
	takes_in(tuple)
	every condition in tuple.where {
		meets(condition)
	}
}

# The record whose owner and department decide: the parent's, where the object says so.
decides := input.record if not object.from_parent

decides := input.record.parent if object.from_parent

takes_in(tuple) if tuple.scopes.all

takes_in(tuple) if {
	tuple.scopes.own
	decides.owner == input.user
}

takes_in(tuple) if {
	tuple.scopes.involved
	decides.participants[input.user]
}

takes_in(tuple) if {
	tuple.scopes.subordinates
	data.users[decides.owner].superiors[input.user]
}

takes_in(tuple) if {
	tuple.scopes.department
	user.departments[decides.department]
}

takes_in(tuple) if {
	tuple.scopes.departmentAndBelow
	some above, _ in data.departments[decides.department]
	user.departments[above]
}

takes_in(tuple) if tuple.ids[input.record.id]

takes_in(tuple) if tuple.owners[decides.owner]

takes_in(tuple) if tuple.departments[decides.department]

takes_in(tuple) if {
	some above, _ in data.departments[decides.department]
	tuple.trees[above]
}

# Conditions: a missing attribute makes each false.
meets(condition) if {
	condition.operator == "Exists"
	count(values_of(condition.field)) > 0
}

meets(condition) if {
	condition.operator == "In"
	some value in values_of(condition.field)
	condition.values[value]
}

meets(condition) if {
	condition.operator == "NotIn"
	values := values_of(condition.field)
	count(values) > 0
	every value in values {
		not condition.values[value]
	}
}

values_of(field) := [input.record.owner] if field == object.owner_field

values_of(field) := [input.record.department] if field == object.department_field

values_of(field) := input.record.attributes[field] if {
	field != object.owner_field
	field != object.department_field
}

# Guardrails.
forbidden if {
	some rule in rules.deny
	every condition in rule {
		holds(condition)
	}
}

forbidden if {
	some rule in rules.limit
	beyond(rule)
}

forbidden if {
	rules.separate
	not somebody_else_made_it
}

rules := data.rules[input.object][input.action]

somebody_else_made_it if input.record.creator != input.user

# What was not said, or says what nobody knows, may be so.
holds(condition) if {
	condition.asks in {"channel", "device"}
	condition.named[input.context[condition.asks]]
}

holds(condition) if {
	condition.asks in {"channel", "device"}
	not is_known(condition.asks)
}

holds(condition) if {
	condition.asks == "no reason"
	not input.context.reason
}

holds(condition) if {
	condition.asks == "window"
	some window in condition.windows
	window.from <= input.now
	input.now < window.until
}

is_known(name) if data.known[name][input.context[name]]

beyond(limit) if not within_limit(limit)

within_limit(limit) if {
	limit.kind == "request"
	input.context.rows <= limit.most
}

within_limit(limit) if {
	limit.kind == "day"
	input.context.rows + input.context.used <= limit.most
}

within_limit(limit) if {
	limit.kind == "owned"
	input.context.owned < limit.most
}

# Fields: the highest level over the tuples that cover the record, after caps.
stage := "proposed" if input.action == "create"

stage := "stored" if input.action != "create"

level[field] := min([highest, object.fields[field].most]) if {
	some field in input.fields
	highest := max({n | some [bundle, i] in covering; n := data.bundles[bundle][input.object][i][stage][field]} | {0})
}

short_of_edit if {
	input.action in {"create", "update"}
	some field in input.fields
	level[field] < 3
}

shown[field] := n if {
	some field, n in level
	not unmasked(n)
}

shown[field] := 2 if {
	some field, n in level
	unmasked(n)
}

unmasked(n) if {
	input.action == "unmask"
	n == 1
}
