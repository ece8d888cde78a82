"""One institution's server: storage, ordering engines, custody, release, HTTP API."""
