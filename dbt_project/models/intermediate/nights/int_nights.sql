-- The nights that tier history knows: those accepted before, then those just computed, with the rules in force on each.
with accepted as (

    select * from {{ source('state', 'nights') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

)

select
    as_of_date,
    rules_version,
    kind
from accepted
union all
select
    as_of_date,
    rules_version,
    kind
from as_of_dates
where kind <> 'baseline'
