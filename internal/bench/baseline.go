package bench

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoBaseline means that there is nothing to hold a run against, or that a run cannot become what others are held against.
var ErrNoBaseline = errors.New("no baseline")

// BaselineName is the name of the file in which runs of this one's class of hosts have their baseline. It can be read, and is
// another one for every class.
func (s Series) BaselineName() (string, error) {
	class := s.Facts[keyHost]
	if class == "" {
		return "", fmt.Errorf("%w: %s does not say on what host it was measured", ErrNoBaseline, s.Name)
	}
	words := strings.FieldsFunc(strings.ToLower(class), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	sum := sha256.Sum256([]byte(class)) // different classes may be made of the same words
	const longest = 80
	readable := strings.Join(words, "-")
	return fmt.Sprintf("%s-%x.bench", readable[:min(len(readable), longest)], sum[:4]), nil
}

// CheckBaseline returns an error wrapping ErrNoBaseline if nothing could ever be told from a run that is held against this one.
func (s Series) CheckBaseline() error {
	for _, name := range s.Names {
		times := s.Values[name]["ns/op"]
		if len(times) < minPairs {
			return fmt.Errorf("%w: of %s there are %d samples in %s, a baseline takes %d at least; measure with a higher --count",
				ErrNoBaseline, name, len(times), s.Name, minPairs)
		}
		if slices.Min(times) == slices.Max(times) {
			return fmt.Errorf("%w: of %s all samples in %s are the same number, which no measurement is", ErrNoBaseline, name, s.Name)
		}
	}
	return nil
}
