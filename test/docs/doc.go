// Package docs runs the examples of the documentation against real servers, as a reader would.
package docs
