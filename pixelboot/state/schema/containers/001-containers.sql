-- What the operator decided about containers.  Version 1 of the schema (PRAGMA user_version).

-- Settings, one row a container of which something was said; whether it is there does not matter.
CREATE TABLE container (
    -- The id of the container, which is made from its file's name; compared letter by letter.
    id TEXT PRIMARY KEY NOT NULL CHECK (typeof(id) = 'text' AND length(id) BETWEEN 1 AND 100),

    -- Whether menus offer it: 1 or 0.
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),

    -- What menus call it; empty for the name that its maker gave it.
    name TEXT NOT NULL CHECK (typeof(name) = 'text' AND length(name) <= 100),

    -- What menus say of it; empty for what its maker says.
    description TEXT NOT NULL CHECK (typeof(description) = 'text' AND length(description) <= 300),

    -- Menus show the containers that have one first, from the lowest up; NULL of those that follow, by file name.
    position INTEGER CHECK (position IS NULL OR (typeof(position) = 'integer' AND abs(position) <= 1000000)),

    -- Seconds that a menu waits before it boots this container by itself, 0 for ever; NULL for the site's.
    timeout REAL CHECK (timeout IS NULL OR (typeof(timeout) = 'real' AND timeout BETWEEN 0 AND 3600)),

    -- What is put behind its kernel's command line.
    arguments TEXT NOT NULL CHECK (typeof(arguments) = 'text' AND length(arguments) <= 2047)
);

-- What boots by itself: no row while the settings file says it, one row else.
CREATE TABLE default_entry (
    -- The id of a container, there or not, or local or shell.
    id TEXT PRIMARY KEY NOT NULL CHECK (typeof(id) = 'text' AND length(id) BETWEEN 1 AND 100)
);
