package render

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// leaves are all texts of the words, by the path that leads to them.
func leaves(v reflect.Value, path string, into map[string]string) {
	switch v.Kind() {
	case reflect.String:
		into[path] = v.String()
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "Sentences" {
				continue // English is what the engine says: sentences_test.go
			}
			leaves(v.Field(i), path+"."+v.Type().Field(i).Name, into)
		}
	case reflect.Array:
		for i := range v.Len() {
			leaves(v.Index(i), path+"."+strconv.Itoa(i), into)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			leaves(v.MapIndex(key), path+"."+key.String(), into)
		}
	}
}

// mayBeEmpty are the words that one language puts around something, and another not.
var mayBeEmpty = regexp.MustCompile(`^\.(IDs|Owners|Participants|Departments|Trees)\.(Before|After)$`)

func TestEveryWordIsThereInEveryLanguage(t *testing.T) {
	en, zh := map[string]string{}, map[string]string{}
	leaves(reflect.ValueOf(english), "", en)
	leaves(reflect.ValueOf(chinese), "", zh)
	if len(en) < 100 || len(en) != len(zh) {
		t.Errorf("%d words in English, %d in Chinese", len(en), len(zh))
	}
	verbs := regexp.MustCompile(`%[ds]`)
	for path, word := range en {
		other, there := zh[path]
		if !there || !mayBeEmpty.MatchString(path) && (word == "") != (other == "") || word == "" && !mayBeEmpty.MatchString(path) {
			t.Errorf("%s is %q in English, and %q in Chinese", path, word, other)
		}
		if a, b := verbs.FindAllString(word, -1), verbs.FindAllString(other, -1); strings.Join(a, "") != strings.Join(b, "") {
			t.Errorf("%s takes %v in English, and %v in Chinese", path, a, b)
		}
	}
}

// sentence is two words in a row: something that people read.
var sentence = regexp.MustCompile(`[A-Za-z]{2,} [a-z]{2,}|\p{Han}`)

func TestNoSentenceStandsOutsideTheWords(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file == "words.go" || file == "sentences.go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			literal, isText := n.(*ast.BasicLit)
			if !isText || literal.Kind != token.STRING {
				return true
			}
			for _, ours := range []string{"write the page: %w", "default-src", "base-uri", `<bdi lang=`, "style-src"} {
				if strings.Contains(literal.Value, ours) {
					return true
				}
			}
			if sentence.MatchString(literal.Value) {
				t.Errorf("%s says %s", file, literal.Value)
			}
			return true
		})
	}
}

func TestTheTemplateOfThePageSaysNothingItself(t *testing.T) {
	rest := regexp.MustCompile(`\{\{.*?\}\}`).ReplaceAllString(pageText, "")
	rest = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(rest, "")
	if said := regexp.MustCompile(`\pL+`).FindAllString(rest, -1); len(said) > 0 {
		t.Errorf("it says %q", said)
	}
	for _, attribute := range regexp.MustCompile(`(?:title|alt|aria-label)="[^"]*"`).FindAllString(pageText, -1) {
		if !strings.Contains(attribute, "{{") {
			t.Errorf("it says %s", attribute)
		}
	}
}
