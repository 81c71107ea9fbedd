-- What a search is answered by. Newest first is the key.
CREATE INDEX spoken_words_words ON spoken_words USING gin (words);
