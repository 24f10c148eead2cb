// Package render tells people and programs what a plan says: a table for terminals, Markdown for the comment of a pull request,
// JSON, and a page of HTML that needs nothing but itself. It judges nothing and reads no clock: the same plan gives the same
// bytes, whatever LANG and TZ say.
//
//	plan.Plan ──newReport──► report (sections of rows of phrases) ──► Table, Markdown, HTML
//	     └────────────────────────────────────────────────────────► JSON
//
// A phrase keeps our own words (words.go, in English and Chinese) apart from names that somebody else chose. Each form writes
// the latter so that nothing in them is obeyed: by a terminal, a browser, or a host that makes links and mentions of text.
package render
