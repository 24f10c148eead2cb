#!/usr/bin/env bash
# Says in a pull request whose access it changes. For CI of any host; needs bash, git, curl, jq and kubectl-crmaccess.
#
#   plan.sh plan PATH          BASE and HEAD are commits. Writes comment.md, plan.html and lint.txt into OUT (crmaccess-plan).
#                              Exit codes: 0 fine, whether or not access changes; 3 a rule forbids the change; 1 there is no
#                              plan, or lint found errors.
#   plan.sh comment github     Puts comment.md into the pull request: writes its own comment anew, or the first one.
#   plan.sh comment gitlab     Needs REPORT_TOKEN, and where it is empty does nothing. See below for what else.
#
# A plan needs the history from HEAD back to where it left BASE: fetch all of it.
set -euo pipefail

crmaccess=${CRMACCESS:-kubectl-crmaccess}
out=${OUT:-crmaccess-plan}
marker='<!-- kubectl-crmaccess-plan -->'
# How long a comment may be, in bytes.
room=65000

plan() {
	local path=$1 at plan_code=0 lint_code=0
	mkdir -p "$out"
	rm -f "$out"/{comment.md,plan.html,lint.txt,problems.txt}
	at=$(date -u +%Y-%m-%dT%H:%M:%SZ) # one now for all forms

	draw markdown >"$out/comment.md" 2>"$out/problems.txt" || plan_code=$?
	case $plan_code in
	0 | 2 | 3) draw html >"$out/plan.html" 2>>"$out/problems.txt" || [ $? -eq "$plan_code" ] ;;
	*) explain >"$out/comment.md" ;;
	esac
	"$crmaccess" lint --base "$BASE" "$path" >"$out/lint.txt" 2>&1 || lint_code=$?
	append_lint

	cat "$out/problems.txt" >&2
	cat "$out/lint.txt"
	if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
		cat "$out/comment.md" >>"$GITHUB_STEP_SUMMARY"
	fi
	case $plan_code in
	0 | 2) [ "$lint_code" -eq 0 ] ;;
	3)
		echo "a rule forbids this change of access: see $out/comment.md" >&2
		return 3
		;;
	*) return 1 ;;
	esac
}

draw() {
	"$crmaccess" plan --base "$BASE" --head "$HEAD" --at "$at" -o "$1" --whole "${WHOLE:-}" "$path"
}

# An error is a comment, too: the one of an earlier push must not stand as if it were about this one.
explain() {
	echo "$marker"
	echo "**There is no plan: nobody knows whose access this changes.**"
	echo
	code <"$out/problems.txt"
}

# What others have written stands in lines that are indented: nothing in it can end them.
code() {
	head -c 20000 | sed 's/^/    /'
}

append_lint() {
	local size
	size=$(($(wc -c <"$out/comment.md") + $(code <"$out/lint.txt" | wc -c)))
	{
		echo
		if [ "$size" -gt "$room" ]; then
			echo "What lint says is too long for a comment: see the log."
		else
			echo "<details><summary>lint</summary>"
			echo
			code <"$out/lint.txt"
			echo
			echo "</details>"
		fi
	} >>"$out/comment.md"
}

# api METHOD URL [BODY]: the token goes by a file descriptor, for a command line can be read by others.
api() {
	curl --silent --show-error --fail-with-body --retry 2 --request "$1" --header @<(printf '%s: %s\n' "$token_header" "$token_value") \
		--header 'Content-Type: application/json' ${3:+--data @"$3"} "$2"
}

# find_own LIST: the id of the comment that is ours. Its author counts, too: anybody can write a comment that begins as ours
# does, and change it after we have written into it.
find_own() {
	local page=1 found
	while :; do
		api GET "$1?per_page=100&page=$page" >"$out/page.json"
		found=$(jq -r --arg marker "$marker" --arg author "$author" \
			"[.[] | select((.body | startswith(\$marker)) and (.$author_field | tostring) == \$author)][0].id // empty" "$out/page.json")
		if [ -n "$found" ] || [ "$(jq length "$out/page.json")" -lt 100 ]; then
			echo "$found"
			return
		fi
		page=$((page + 1))
	done
}

comment() {
	local list one change id
	case $1 in
	github) # GITHUB_API_URL and GITHUB_REPOSITORY are there; PULL_REQUEST is a number
		list=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
		one=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/comments
		change=PATCH token_header=Authorization token_value="Bearer $REPORT_TOKEN"
		author_field=user.login author=${REPORT_AUTHOR:-github-actions[bot]}
		;;
	gitlab) # CI_API_V4_URL, CI_PROJECT_ID and CI_MERGE_REQUEST_IID are there
		if [ -z "${REPORT_TOKEN:-}" ]; then
			echo "no comment: REPORT_TOKEN is not set"
			return
		fi
		list=$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes
		one=$list
		change=PUT token_header=PRIVATE-TOKEN token_value=$REPORT_TOKEN
		author_field=author.id author=$(api GET "$CI_API_V4_URL/user" | jq -r .id)
		;;
	*)
		echo "plan.sh comment: want github or gitlab, got $1" >&2
		return 1
		;;
	esac
	jq -n --rawfile body "$out/comment.md" '{body: $body}' >"$out/body.json"
	id=$(find_own "$list")
	if [ -n "$id" ]; then
		api "$change" "$one/$id" "$out/body.json" >/dev/null
		echo "wrote the comment anew"
	else
		api POST "$list" "$out/body.json" >/dev/null
		echo "wrote a comment"
	fi
	rm -f "$out/body.json" "$out/page.json"
}

case ${1:-} in
plan | comment) "$1" "${2:?plan.sh $1: say of what}" ;;
*)
	echo "usage: plan.sh plan PATH | comment github | comment gitlab" >&2
	exit 1
	;;
esac
