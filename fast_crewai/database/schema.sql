CREATE TABLE IF NOT EXISTS long_term_memories (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_description TEXT,
    metadata TEXT,
    datetime TEXT,
    score REAL
);

CREATE VIRTUAL TABLE IF NOT EXISTS long_term_memories_fts USING fts5(
    task_description, content='long_term_memories', content_rowid='id'
);

CREATE TRIGGER IF NOT EXISTS long_term_memories_fts_insert AFTER INSERT ON long_term_memories
BEGIN
    INSERT INTO long_term_memories_fts(rowid, task_description)
    VALUES (new.id, new.task_description);
END;

CREATE TRIGGER IF NOT EXISTS long_term_memories_fts_delete AFTER DELETE ON long_term_memories
BEGIN
    INSERT INTO long_term_memories_fts(long_term_memories_fts, rowid, task_description)
    VALUES ('delete', old.id, old.task_description);
END;

CREATE TRIGGER IF NOT EXISTS long_term_memories_fts_update
AFTER UPDATE OF id, task_description ON long_term_memories
BEGIN
    INSERT INTO long_term_memories_fts(long_term_memories_fts, rowid, task_description)
    VALUES ('delete', old.id, old.task_description);
    INSERT INTO long_term_memories_fts(rowid, task_description)
    VALUES (new.id, new.task_description);
END;

INSERT INTO long_term_memories_fts(long_term_memories_fts) VALUES ('rebuild');
