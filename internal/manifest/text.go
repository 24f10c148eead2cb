package manifest

import "path/filepath"

// CheckText says what keeps the text of a file from being read, as the error of Load would; it does not say what an API
// server would refuse.
func CheckText(file string, data []byte) error {
	_, faults := readDocuments(file, forms[filepath.Ext(file)], data)
	return joined(faults)
}
