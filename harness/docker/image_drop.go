package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"
)

// DropImages removes the images of etcd that this program has built on the engine, and no others. An image that a container
// still uses stays, and is an error.
func (r *Runtime) DropImages(ctx context.Context) error {
	found, err := r.engine.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("label", labelImageRecipe)})
	if err != nil {
		return fmt.Errorf("list own images: %w", err)
	}
	var failures []error
	for _, image := range found.Items {
		for _, tag := range image.RepoTags {
			if _, err := r.engine.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
				failures = append(failures, fmt.Errorf("remove image %s: %w", tag, err))
			}
		}
	}
	return errors.Join(failures...)
}
