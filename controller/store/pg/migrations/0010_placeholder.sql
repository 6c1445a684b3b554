-- Stands for the migration of this number until that is merged; then this file goes.
SELECT 1;
