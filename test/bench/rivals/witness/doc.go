// Package witness translates an organisation into the words of engines that others made, so that they can say under oath
// what ours says: Cedar policies with entities (cedar-go), and a Rego policy with data (OPA).
//
// Translated are accounts, the catalogue, roles with inheritance and mutes, bindings, temporary grants with windows and
// selections, conditions, field levels, revocations, and of the guardrails deny, limit, separate, cap and maxDuration.
// Left out are what the two have no word for: needs-approval as a third answer (approve rules), what a declaration needs
// before it counts (the other admit rules), and a question without a record, which asks about all records at once.
//
// The translation starts from declarations and shares no code with the engine, nor with the plain reference.
package witness
