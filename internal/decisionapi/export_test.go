package decisionapi

// Served are the methods and paths of every endpoint, for the tests of the API's description.
func Served() (all [][2]string) {
	for _, e := range endpoints {
		all = append(all, [2]string{e.method, e.path})
	}
	return all
}

// MetadataPath is where the metadata is.
const MetadataPath = pathMetadata
