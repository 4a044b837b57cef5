"""``python -m bench soak``: a loader for minutes or hours, with damaged files, resumes and exits."""
