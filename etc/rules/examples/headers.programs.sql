-- Messages that are a program: said by the header alone, so that the body need not come first. Attachments inside a
-- message of several parts are the business of a milter.
--
-- $ parcelpost rules test headers "content_type=application/octet-stream; name=invoice.pdf.EXE"
--   550 5.7.1 We take no programs by mail
-- $ parcelpost rules test headers content_type=application/x-msdownload
--   550 5.7.1 We take no programs by mail
-- $ parcelpost rules test headers "header=Content-Disposition: attachment; filename=update.js"
--   550 5.7.1 We take no programs by mail
-- $ parcelpost rules test headers "content_type=text/plain; charset=utf-8" "header=Subject: about update.js"
--   no rule objects
WITH named(file) AS (
    SELECT lower(replace(:content_type, '"', '')) || ';' WHERE :content_type LIKE '%name%'
    UNION ALL
    SELECT lower(replace(replace(substr(:header, instr(lower(:header), 'content-disposition:')), '"', ''), char(10), ';')) || ';'
     WHERE instr(lower(:header), 'content-disposition:') > 0)
SELECT '550 5.7.1 We take no programs by mail'
 WHERE :content_type LIKE 'application/x-msdownload%' OR :content_type LIKE 'application/x-msdos-program%'
    OR EXISTS (SELECT 1 FROM named, (VALUES ('exe'), ('scr'), ('com'), ('bat'), ('js'), ('vbs'), ('iso')) AS kinds
                WHERE file LIKE '%name%=%.' || kinds.column1 || ';%');
