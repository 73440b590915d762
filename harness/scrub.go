package harness

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// scrubbed is a log of which each line goes through scrub.
func scrubbed(log io.ReadCloser, scrub func(line string) (kept string, keep bool)) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() {
		lines := bufio.NewReader(log)
		var err error
		for err == nil {
			var line string
			line, err = lines.ReadString('\n')
			body, end := strings.CutSuffix(line, "\n")
			kept, keep := scrub(body)
			if line == "" || !keep {
				continue
			}
			if end {
				kept += "\n"
			}
			if _, failed := io.WriteString(writer, kept); failed != nil {
				err = failed
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		writer.CloseWithError(errors.Join(err, log.Close()))
	}()
	return reader
}
