package manifest

import (
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// asKubectlReads reads a document by kubectl's own code, which is slow: it parses the text again, by an older YAML in which
// no and on are false and true, writes it as JSON, and reads that.
func asKubectlReads(text []byte) (value any, err error) {
	asJSON, err := yaml.YAMLToJSON(text)
	if err == nil {
		err = utiljson.Unmarshal(asJSON, &value)
	}
	return value, err
}

// valueOf is the value of a node where it is plain that kubectl reads the same, as it is in nearly every manifest. It leaves
// alone what the YAML of kubectl and that of our nodes might read differently, or what JSON changes: anchors, tags, blocks of
// text, and scalars that are anything but a word, a quoted text, a short decimal number, true or false.
func valueOf(node *yamlv3.Node) (value any, sure bool) {
	if node.Anchor != "" || node.Style&yamlv3.TaggedStyle != 0 {
		return nil, false
	}
	switch node.Kind {
	case yamlv3.MappingNode:
		return mappingOf(node)
	case yamlv3.SequenceNode:
		list := make([]any, len(node.Content))
		for i, item := range node.Content {
			if list[i], sure = valueOf(item); !sure {
				return nil, false
			}
		}
		return list, true
	case yamlv3.ScalarNode:
		return scalarOf(node)
	}
	return nil, false
}

func mappingOf(node *yamlv3.Node) (any, bool) {
	mapping := make(map[string]any, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Kind != yamlv3.ScalarNode {
			return nil, false
		}
		key, sure := valueOf(node.Content[i])
		name, isText := key.(string)
		if !sure || !isText {
			return nil, false
		}
		if mapping[name], sure = valueOf(node.Content[i+1]); !sure {
			return nil, false
		}
	}
	return mapping, true
}

func scalarOf(node *yamlv3.Node) (any, bool) {
	switch {
	case node.Style&(yamlv3.DoubleQuotedStyle|yamlv3.SingleQuotedStyle) != 0:
		return node.Value, true
	case node.Style != 0 || node.Value == "" || len(node.Value) > maxPlain || strings.Contains(node.Value, "\n"):
		return nil, false
	}
	first := node.Value[0]
	switch {
	case '0' <= first && first <= '9':
		return numberOf(node.Value)
	case 'a' <= first && first <= 'z', 'A' <= first && first <= 'Z', first >= 0x80:
		return wordOf(node.Value)
	}
	return nil, false
}

// maxPlain is the longest scalar without quotes that is taken for what it looks like.
const maxPlain = 1024

// numberOf is a decimal number that needs no care: without sign, leading zero, point, or more digits than all readers keep.
func numberOf(text string) (any, bool) {
	if len(text) > 15 || (len(text) > 1 && text[0] == '0') || strings.Trim(text, "0123456789") != "" {
		return nil, false
	}
	number, err := strconv.ParseInt(text, 10, 64)
	return number, err == nil
}

// wordOf is a text, unless it is a word that YAML reads as something else.
func wordOf(text string) (any, bool) {
	if len(text) > len("false") {
		return text, true
	}
	switch text {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return nil, false
	}
	return text, true
}
