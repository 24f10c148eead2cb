package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// first is the first question that a newcomer asks by hand: may Li Ting read a customer of her own?
const first = `{"subject":{"type":"user","id":"li-ting"},"action":{"name":"read"},"resource":{"type":"customer","id":"c1","properties":{"owner":"li-ting"}},"context":{"explain":true}}`

// curl is the command line that puts a question to the decision API.
func (o *operator) curl(question string) string {
	return fmt.Sprintf("curl -s %s/%s/access/v1/evaluation -H 'Content-Type: application/json' \\\n    -d '%s'", o.server, namespace, question)
}

// ask runs the command line that it prints. On a machine without curl there is nothing to show.
func (d *demonstration) ask(ctx context.Context) error {
	if _, err := exec.LookPath("curl"); err != nil {
		return nil
	}
	line := d.operator.curl(first)
	say("A CRM asks over HTTP (docs/connect.md). You can, too, from another terminal, as long as this runs:")
	fmt.Println("  $ " + line)
	answer, err := exec.CommandContext(ctx, "sh", "-c", line).CombinedOutput()
	if err != nil || !bytes.Contains(answer, []byte(`"decision":true`)) {
		return fmt.Errorf("ask the decision API by curl: %w: %s", err, answer)
	}
	fmt.Println(indented(strings.TrimSpace(string(answer))))
	return nil
}
