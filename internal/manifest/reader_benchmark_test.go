package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Two trees of 50,000 users, 2,000 roles, 100,000 bindings and 20,000 grants, of which one role differs, against what the YAML
// library alone takes for the same files, one after the other: nodes are the least that it does for anybody, values are what
// it is mostly asked for. The ratios are of speed: 0.5 is half as fast as the library.
func BenchmarkReadTwoTreesOf50000Users(b *testing.B) {
	base := largeTree(50_000, 2_000, 100_000, 20_000)
	head := fstest.MapFS{}
	for name, file := range base {
		head[name] = file
	}
	head["roles/0.yaml"] = &fstest.MapFile{Data: bytes.Replace(base["roles/0.yaml"].Data, []byte("[own]"), []byte("[all]"), 1)}
	trees := []fstest.MapFS{base, head}
	var first, both, nodes, values time.Duration
	for b.Loop() {
		reader, err := NewReader()
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		for i, tree := range trees {
			if _, err := reader.Read(tree, ".", path.Clean); err != nil {
				b.Fatal(err)
			}
			if i == 0 {
				first += time.Since(start)
			}
		}
		both += time.Since(start)
		for _, tree := range trees {
			nodes += timeOfYAML(b, tree, func(d *yamlv3.Decoder) error { var n yamlv3.Node; return d.Decode(&n) })
			values += timeOfYAML(b, tree, func(d *yamlv3.Decoder) error { var v any; return d.Decode(&v) })
		}
	}
	b.ReportMetric(both.Seconds()/float64(b.N), "s/both")
	b.ReportMetric(first.Seconds()/float64(b.N), "s/first")
	b.ReportMetric(nodes.Seconds()/2/first.Seconds(), "×nodes/first")
	b.ReportMetric(nodes.Seconds()/both.Seconds(), "×nodes")
	b.ReportMetric(values.Seconds()/both.Seconds(), "×values")
}

func timeOfYAML(b *testing.B, tree fs.FS, decode func(*yamlv3.Decoder) error) time.Duration {
	start := time.Now()
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		decoder := yamlv3.NewDecoder(bytes.NewReader(data))
		for err == nil {
			err = decode(decoder)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// largeTree is a tree as people keep one: a few hundred objects a file.
func largeTree(users, roles, bindings, grants int) fstest.MapFS {
	tree := fstest.MapFS{}
	many := func(folder string, n int, text func(i int) string) {
		for first := 0; first < n; first += 250 {
			var documents []string
			for i := first; i < min(first+250, n); i++ {
				documents = append(documents, header+text(i))
			}
			tree[fmt.Sprintf("%s/%d.yaml", folder, first/250)] = &fstest.MapFile{Data: []byte(strings.Join(documents, "---\n"))}
		}
	}
	many("departments", max(users/50, 1), func(i int) string {
		if i == 0 {
			return "kind: Department\nmetadata:\n  name: d-0\nspec:\n  displayName: 总部\n"
		}
		return fmt.Sprintf("kind: Department\nmetadata:\n  name: d-%d\nspec:\n  displayName: 华东%d部\n  parent: d-%d\n", i, i, (i-1)/4)
	})
	many("users", users, func(i int) string {
		return fmt.Sprintf("kind: User\nmetadata:\n  name: u-%d\nspec:\n  displayName: 李婷%d\n  title: 销售代表\n  department: d-%d\n  manager: u-%d\n", i, i, i%max(users/50, 1), i+1)
	})
	many("roles", roles, func(i int) string {
		return fmt.Sprintf("kind: Role\nmetadata:\n  name: r-%d\nspec:\n  displayName: 角色%d\n  grants:\n  - object: customer\n    actions: [read, update, followUp]\n    scopes: [own]\n    fields:\n    - {class: confidential, level: edit}\n  - object: lead\n    actions: [read, convert]\n    scopes: [department]\n", i, i)
	})
	many("bindings", bindings, func(i int) string {
		return fmt.Sprintf("kind: UserBinding\nmetadata:\n  name: b-%d\nspec:\n  subjects:\n  - user: u-%d\n  roles: [r-%d]\n  justification: account team %d\n", i, i%users, i%roles, i)
	})
	many("grants", grants, func(i int) string {
		return fmt.Sprintf("kind: TemporaryGrant\nmetadata:\n  name: g-%d\nspec:\n  users: [u-%d]\n  grants:\n  - object: customer\n    actions: [read]\n    records:\n      owners: [u-%d]\n  notBefore: \"2026-12-01T09:00:00+08:00\"\n  notAfter: \"2026-12-31T09:00:00+08:00\"\n  reason: covers for a colleague\n", i, i%users, (i+1)%users)
	})
	return tree
}
